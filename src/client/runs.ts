import { isGrpcServiceError, ServiceError, WorkflowNotFoundError, type Client, type WorkflowExecutionDescription, type WorkflowExecutionInfo, type WorkflowExecutionStatusName } from '@temporalio/client';
import type { BatchTotals } from '../core/batch-progress';
import { BACKUP_BATCH_WORKFLOW, BACKUP_FILE_WORKFLOW, BACKUP_SNAPSHOT_WORKFLOW, OPERATION_ATTRIBUTE, RESTORE_SNAPSHOT_WORKFLOW } from '../core/names';
import { summarize, type BackupStatistics, type BatchCounts } from '../core/statistics';
import { bytesKey, stateKey } from '../search-attributes';
import { RunNotFoundError } from './errors';
import { pausesOf, type Pause } from './pauses';
import { pendingActivities } from './pending-steps';
import { hasKeys } from './proof';
import { memoOf, type ProvenMemo } from './run-memo';

/** What a run does, as people say it. */
export type RunKind = 'file' | 'batch' | 'snapshot' | 'restore';

/** Workflow types of what people start. */
const kinds: Readonly<Record<string, RunKind>> = { [BACKUP_FILE_WORKFLOW]: 'file', [BACKUP_BATCH_WORKFLOW]: 'batch', [BACKUP_SNAPSHOT_WORKFLOW]: 'snapshot', [RESTORE_SNAPSHOT_WORKFLOW]: 'restore' };

/** One line of `file-backup runs`. */
export interface BackupRun {
  readonly kind: RunKind;
  readonly workflowId: string;
  readonly runId: string;
  readonly status: WorkflowExecutionStatusName;
  /** State of the saga; undefined where search attributes are not registered. */
  readonly state: string | undefined;
  readonly operationId: string;
  /** Of a batch the number of files, in words. */
  readonly sourcePath: string;
  /** Of a batch the directory of its targets. */
  readonly backupPath: string;
  readonly startedAt: string;
  readonly closedAt: string | undefined;
  readonly sizeBytes: number;
  readonly taskQueue: string;
  /** What a finished batch came to. */
  readonly totals: BatchTotals | undefined;
}

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
  /** What of it somebody has paused by Temporal's own means. */
  readonly pauses: readonly Pause[];
  readonly historyLength: number;
}

/** What people or schedules have started: files that a batch tries again by themselves are the batch's. An execution that continued as new is part of the next one. */
const ownRuns = `(ParentWorkflowId IS NULL OR WorkflowType = '${BACKUP_SNAPSHOT_WORKFLOW}') AND ExecutionStatus != 'ContinuedAsNew'`;
const fileRuns = `WorkflowType = '${BACKUP_FILE_WORKFLOW}' AND ${ownRuns}`;
const batchRuns = `WorkflowType = '${BACKUP_BATCH_WORKFLOW}' AND ${ownRuns}`;
const snapshotRuns = `WorkflowType = '${BACKUP_SNAPSHOT_WORKFLOW}' AND ${ownRuns}`;
const allRuns = `WorkflowType IN (${Object.keys(kinds).map((type) => `'${type}'`).join(', ')}) AND ${ownRuns}`;

/** Newest first. */
export async function listRuns(client: Client, limit: number): Promise<BackupRun[]> {
  const runs: BackupRun[] = [];
  for await (const info of client.workflow.list({ query: allRuns, pageSize: Math.min(limit, 1000) })) {
    runs.push(runOf(client, info));
    if (runs.length >= limit) break;
  }
  // The server lists running ones first, then by their end.
  return runs.sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
}

/** By workflow id, or by operation id. @throws RunNotFoundError */
export async function describeRun(client: Client, id: string): Promise<BackupDescription> {
  const workflowId = (await findOperation(client, id)) ?? { workflowId: id };
  const description = await describeIfPresent(client, workflowId.workflowId, 'runId' in workflowId ? workflowId.runId : undefined);
  if (description === undefined || kinds[description.type] === undefined) throw new RunNotFoundError(id);
  const firstRunId = description.raw.workflowExecutionInfo?.firstRunId || description.runId;
  return { ...runOf(client, description), firstRunId, pendingSteps: (await pendingActivities(client, description)).map(({ step, attempt, lastFailure }) => ({ step, attempt, lastFailure })), pauses: pausesOf(description), historyLength: description.historyLength };
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
  const query = `${allRuns} AND ${OPERATION_ATTRIBUTE} = '${operationId}'`;
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
  const [files, batches, snapshots] = await Promise.all([countsOf(client, fileRuns), sumsOf(client, batchRuns), sumsOf(client, snapshotRuns)]);
  // Visibility can count but not add up.
  for await (const info of client.workflow.list({ query: `${fileRuns} AND ExecutionStatus = 'Completed'`, pageSize: 1000 })) {
    const { state, sizeBytes } = runOf(client, info);
    files.bytes += sizeBytes;
    if (state === NOT_AUTHENTIC) countAsFailed(files);
  }
  return summarize(files, batches, snapshots);
}

/** Of runs of many files, which say in their memo what they came to. */
async function sumsOf(client: Client, query: string): Promise<BatchCounts> {
  const sums = { ...(await countsOf(client, query)), partial: 0, filesBackedUp: 0, filesFailed: 0 };
  for await (const info of client.workflow.list({ query: `${query} AND ExecutionStatus != 'Running'`, pageSize: 1000 })) {
    const { totals, state } = runOf(client, info);
    if (state === NOT_AUTHENTIC) countAsFailed(sums);
    sums.bytes += totals?.totalBytes ?? 0;
    sums.filesBackedUp += totals?.successfulFiles ?? 0;
    sums.filesFailed += totals?.failedFiles ?? 0;
    if (info.status.name === 'COMPLETED' && totals !== undefined && totals.successfulFiles < totals.totalFiles) sums.partial += 1;
  }
  return sums;
}

async function countsOf(client: Client, query: string): Promise<{ successful: number; failed: number; running: number; bytes: number }> {
  const counts = { successful: 0, failed: 0, running: 0, bytes: 0 };
  const { groups } = await client.workflow.count(`${query} GROUP BY ExecutionStatus`);
  for (const { count, groupValues } of groups) {
    const status = String(groupValues[0]);
    counts[status === 'Completed' ? 'successful' : status === 'Running' || status === 'Paused' ? 'running' : 'failed'] += count;
  }
  return counts;
}

/** State of a run that somebody has ended in the name of its worker. */
export const NOT_AUTHENTIC = 'notAuthentic';

/** Search attributes are anybody's: with keys, what a run notes of its end in its memo is what counts. */
function stateOf(client: Client, { status, typedSearchAttributes }: WorkflowExecutionInfo | WorkflowExecutionDescription, { end }: ProvenMemo): string | undefined {
  if (!hasKeys(client)) return typedSearchAttributes.get(stateKey);
  if (end !== undefined) return end.state;
  if (status.name === 'COMPLETED') return NOT_AUTHENTIC;
  return status.name === 'RUNNING' ? typedSearchAttributes.get(stateKey) && 'active' : undefined;
}

function countAsFailed(counts: { successful: number; failed: number }): void {
  counts.successful -= 1;
  counts.failed += 1;
}

function runOf(client: Client, info: WorkflowExecutionInfo | WorkflowExecutionDescription): BackupRun {
  const memo = memoOf(client, info);
  return {
    kind: kinds[info.type] ?? 'file',
    workflowId: info.workflowId,
    runId: info.runId,
    status: info.status.name,
    state: stateOf(client, info, memo),
    operationId: memo.operationId ?? '',
    sourcePath: memo.totals === undefined || info.type !== BACKUP_BATCH_WORKFLOW ? (memo.sourcePath ?? '') : `${memo.totals.totalFiles} files`,
    backupPath: memo.backupPath ?? '',
    startedAt: info.startTime.toISOString(),
    closedAt: info.closeTime?.toISOString(),
    sizeBytes: (hasKeys(client) ? memo.end?.sizeBytes : info.typedSearchAttributes.get(bytesKey)) ?? 0,
    taskQueue: info.taskQueue,
    totals: memo.totals,
  };
}
