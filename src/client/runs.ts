import { isGrpcServiceError, ServiceError, WorkflowNotFoundError, type Client, type WorkflowExecutionDescription, type WorkflowExecutionInfo, type WorkflowExecutionStatusName } from '@temporalio/client';
import { BACKUP_FILE_WORKFLOW, OPERATION_ATTRIBUTE } from '../core/names';
import { summarize, type BackupStatistics } from '../core/statistics';
import { bytesKey, stateKey } from '../search-attributes';
import { RunNotFoundError } from './errors';

/** What the client notes in every run's memo. */
export interface RunMemo {
  readonly operationId: string;
  readonly fingerprint: string;
  readonly sourcePath: string;
  readonly backupPath: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** One line of `file-backup runs`. */
export interface BackupRun {
  readonly workflowId: string;
  readonly runId: string;
  readonly status: WorkflowExecutionStatusName;
  /** State of the saga; undefined where search attributes are not registered. */
  readonly state: string | undefined;
  readonly operationId: string;
  readonly sourcePath: string;
  readonly backupPath: string;
  readonly startedAt: string;
  readonly closedAt: string | undefined;
  readonly sizeBytes: number;
  readonly taskQueue: string;
}

/** A step that is under way or waits for its next attempt. */
export interface PendingStep {
  readonly step: string;
  readonly attempt: number;
  readonly lastFailure: string | undefined;
}

/** `file-backup status`: needs no worker. */
export interface BackupDescription extends BackupRun {
  readonly pendingSteps: readonly PendingStep[];
  readonly historyLength: number;
}

const fileRuns = `WorkflowType = '${BACKUP_FILE_WORKFLOW}'`;

/** Newest first. */
export async function listRuns(client: Client, limit: number): Promise<BackupRun[]> {
  const runs: BackupRun[] = [];
  for await (const info of client.workflow.list({ query: fileRuns, pageSize: Math.min(limit, 1000) })) {
    runs.push(runOf(info));
    if (runs.length >= limit) break;
  }
  // The server lists running ones first, then by their end.
  return runs.sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
}

/** By workflow id, or by operation id. @throws RunNotFoundError */
export async function describeRun(client: Client, id: string): Promise<BackupDescription> {
  const workflowId = (await findOperation(client, id)) ?? { workflowId: id };
  const description = await describeIfPresent(client, workflowId.workflowId, 'runId' in workflowId ? workflowId.runId : undefined);
  if (description?.type !== BACKUP_FILE_WORKFLOW) throw new RunNotFoundError(id);
  return { ...runOf(description), pendingSteps: pendingSteps(description), historyLength: description.historyLength };
}

export async function describeIfPresent(client: Client, workflowId: string, runId?: string): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await client.workflow.getHandle(workflowId, runId).describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The newest run of an operation, by its search attribute; undefined for ids that are no UUIDs. */
export async function findOperation(client: Client, operationId: string): Promise<{ workflowId: string; runId: string } | undefined> {
  if (!UUID.test(operationId)) return undefined;
  const query = `${fileRuns} AND ${OPERATION_ATTRIBUTE} = '${operationId}'`;
  try {
    for await (const { workflowId, runId } of client.workflow.list({ query, pageSize: 1 })) return { workflowId, runId };
    return undefined;
  } catch (error) {
    if (!isInvalidQuery(error)) throw error;
    return (await listRuns(client, MOST_RUNS_READ)).find((run) => run.operationId === operationId);
  }
}

/** Where search attributes are not registered, so many runs are looked through for an operation. */
const MOST_RUNS_READ = 10_000;

/** What a server answers to a search attribute that it does not know. */
function isInvalidQuery(error: unknown): boolean {
  return error instanceof ServiceError && isGrpcServiceError(error.cause) && Number(error.cause.code) === INVALID_ARGUMENT;
}

const INVALID_ARGUMENT = 3;

/** Totals over the runs that the server still keeps: they survive restarts of everything but the server's retention. */
export async function statistics(client: Client): Promise<BackupStatistics> {
  const counts = { successful: 0, failed: 0, running: 0, bytes: 0 };
  const { groups } = await client.workflow.count(`${fileRuns} GROUP BY ExecutionStatus`);
  for (const { count, groupValues } of groups) {
    const status = String(groupValues[0]);
    counts[status === 'Completed' ? 'successful' : status === 'Running' || status === 'Paused' ? 'running' : 'failed'] += count;
  }
  // Visibility can count but not add up.
  for await (const info of client.workflow.list({ query: `${fileRuns} AND ExecutionStatus = 'Completed'`, pageSize: 1000 })) {
    counts.bytes += info.typedSearchAttributes.get(bytesKey) ?? 0;
  }
  return summarize(counts);
}

function runOf(info: WorkflowExecutionInfo | WorkflowExecutionDescription): BackupRun {
  const memo = (info.memo ?? {}) as Partial<RunMemo>;
  return {
    workflowId: info.workflowId,
    runId: info.runId,
    status: info.status.name,
    state: info.typedSearchAttributes.get(stateKey),
    operationId: memo.operationId ?? '',
    sourcePath: memo.sourcePath ?? '',
    backupPath: memo.backupPath ?? '',
    startedAt: info.startTime.toISOString(),
    closedAt: info.closeTime?.toISOString(),
    sizeBytes: info.typedSearchAttributes.get(bytesKey) ?? 0,
    taskQueue: info.taskQueue,
  };
}

function pendingSteps({ raw }: WorkflowExecutionDescription): PendingStep[] {
  return (raw.pendingActivities ?? []).map(({ activityType, attempt, lastFailure }) => ({
    step: activityType?.name ?? '',
    attempt: attempt ?? 1,
    lastFailure: lastFailure?.message ?? undefined,
  }));
}
