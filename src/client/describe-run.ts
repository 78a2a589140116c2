import { isGrpcServiceError, ServiceError, type Client, type WorkflowExecutionDescription, type WorkflowExecutionInfo } from '@temporalio/client';
import { BACKUP_SNAPSHOT_WORKFLOW, OPERATION_ATTRIBUTE } from '../core/names';
import { describeIfPresent, firstRunIdOf } from './describe-execution';
import { AmbiguousIdError, RunNotFoundError } from './errors';
import { endOf } from './output-of';
import { pausedText, pausesOf, type Pause } from './pauses';
import { pendingActivities } from './pending-steps';
import { isPolled } from './pollers';
import { allRuns, kindOf } from './run-kinds';
import { memoOf } from './run-memo';
import { liveState } from './run-state';
import { lastTaskFailure } from './task-failure';
import { newestRuns, runOf, type BackupRun } from './runs';

/** A step that is under way or waits for its next attempt. */
export interface PendingStep {
  readonly step: string;
  readonly attempt: number;
  readonly lastFailure: string | undefined;
}

/** `file-backup status`: needs no worker. */
export interface BackupDescription extends BackupRun {
  /** The same through every continue-as-new. */
  readonly firstRunId: string;
  readonly pendingSteps: readonly PendingStep[];
  /** What the worker of a live run said when it could not go on with it, as one of an incompatible version cannot. */
  readonly taskFailure: string | null;
  /** What of it somebody has paused by Temporal's own means. */
  readonly pauses: readonly Pause[];
  readonly historyLength: number;
  /** Workflow id of the snapshot that a time of a schedule takes just now. */
  readonly snapshotRun: string | null;
  /** Why a run that has ended is not done, with the type of its failure. */
  readonly reason: string | null;
}

/** An execution, in which a run goes on or has ended. */
interface Execution {
  readonly workflowId: string;
  readonly runId?: string;
}

/** By workflow id, operation id, run id, or the first digits of one of them. @throws RunNotFoundError, AmbiguousIdError */
export async function describeRun(client: Client, id: string): Promise<BackupDescription> {
  if (id === '' || Buffer.byteLength(id) > MAX_ID_BYTES) throw new RunNotFoundError(id);
  const { workflowId, runId } = (await findRun(client, id)) ?? { workflowId: id };
  const description = await describeExecution(client, workflowId, runId);
  if (description === undefined) throw new RunNotFoundError(id);
  return description;
}

/** Undefined when the server knows no such run, or it is none of a backup. */
export async function describeExecution(client: Client, workflowId: string, runId?: string): Promise<BackupDescription | undefined> {
  const description = await describeIfPresent(client, workflowId, runId);
  if (description === undefined || kindOf(description.type) === undefined) return undefined;
  const isRunning = description.status.name === 'RUNNING';
  return {
    ...runOf(client, description),
    ...(description.status.name === 'PAUSED' ? { waitingFor: pausedText(description) } : {}),
    ...(isRunning ? await liveState(client, description, (taskQueue) => isPolled(client, taskQueue)) : {}),
    firstRunId: firstRunIdOf(description),
    pendingSteps: (await pendingActivities(client, description)).map(({ step, attempt, lastFailure }) => ({ step, attempt, lastFailure })),
    taskFailure: isRunning ? await lastTaskFailure(client, description) : null,
    pauses: pausesOf(description),
    historyLength: description.historyLength,
    snapshotRun: description.raw.pendingChildren?.find(({ workflowTypeName }) => workflowTypeName === BACKUP_SNAPSHOT_WORKFLOW)?.workflowId ?? null,
    reason: isRunning ? null : await reasonOf(client, description),
  };
}

/** As `describeRun`; of a time of a schedule, the snapshot that it takes, which is what can be paused. */
export async function describePausable(client: Client, id: string): Promise<BackupDescription> {
  const run = await describeRun(client, id);
  return run.snapshotRun === null ? run : describeRun(client, run.snapshotRun);
}

/** Servers answer longer ones with an error of their own. */
const MAX_ID_BYTES = 1000;

/** In one line, or null for what went well. */
async function reasonOf(client: Client, { workflowId, runId, status }: WorkflowExecutionDescription): Promise<string | null> {
  if (status.name === 'COMPLETED' || status.name === 'PAUSED') return null;
  const { errorCode, message } = await endOf(client, { workflowId, runId });
  return errorCode === null ? null : `${errorCode}: ${message}`;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The newest run of an operation, by its search attribute; undefined for ids that are no UUIDs. */
export async function findOperation(client: Client, operationId: string): Promise<Execution | undefined> {
  return UUID.test(operationId) ? findByOperation(client, operationId) : undefined;
}

/** Shorter ones are meant by nobody. */
const SHORT_ID = /^[0-9a-f-]{4,36}$/i;

async function findRun(client: Client, id: string): Promise<Execution | undefined> {
  if (!SHORT_ID.test(id)) return findByWorkflowId(client, id);
  return (await findByOperation(client, id)) ?? onlyOne(id, await hits(client, `RunId STARTS_WITH '${id.toLowerCase()}'`), ({ runId }) => runId);
}

/** Workflow ids end with a digest, of which people copy a part. */
async function findByWorkflowId(client: Client, id: string): Promise<Execution | undefined> {
  if (!WORKFLOW_ID.test(id) || (await describeIfPresent(client, id)) !== undefined) return undefined;
  return onlyOne(id, await hits(client, `WorkflowId STARTS_WITH '${id}'`), ({ workflowId }) => workflowId);
}

/** What needs no quoting in a query; ids of this program consist of it. */
const WORKFLOW_ID = /^[\w.:-]+$/;

async function findByOperation(client: Client, id: string): Promise<Execution | undefined> {
  const start = id.toLowerCase();
  const operationOf = (info: WorkflowExecutionInfo): string => memoOf(client, info).operationId ?? '';
  const found = await hits(client, `${OPERATION_ATTRIBUTE} STARTS_WITH '${start}'`).catch((error: unknown) => {
    if (isInvalidQuery(error)) return newestRuns(client, MOST_RUNS_READ).then((infos) => infos.filter((info) => operationOf(info).startsWith(start)));
    throw error;
  });
  // Anybody can give a run of his own the attribute: what is proven counts first.
  const proven = found.filter((info) => operationOf(info).startsWith(start));
  return proven.length > 0 ? onlyOne(id, proven, operationOf) : onlyOne(id, found, ({ workflowId }) => workflowId);
}

/** So many are looked through, which is more than one would want to choose from. */
const MOST_FOUND = 100;

function hits(client: Client, condition: string): Promise<WorkflowExecutionInfo[]> {
  return newestRuns(client, MOST_FOUND, `${allRuns} AND ${condition}`);
}

/** The newest of runs that all have one name. @throws AmbiguousIdError */
function onlyOne(id: string, found: readonly WorkflowExecutionInfo[], nameOf: (info: WorkflowExecutionInfo) => string): Execution | undefined {
  const names = [...new Set(found.map(nameOf))];
  if (names.length > 1) throw new AmbiguousIdError(id, names);
  return found[0];
}

/** Where search attributes are not registered, so many runs are looked through for an operation. */
const MOST_RUNS_READ = 10_000;

/** What a server answers to a search attribute that it does not know. */
function isInvalidQuery(error: unknown): boolean {
  return error instanceof ServiceError && isGrpcServiceError(error.cause) && Number(error.cause.code) === INVALID_ARGUMENT;
}

const INVALID_ARGUMENT = 3;
