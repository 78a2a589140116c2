import type { Client, WorkflowExecutionDescription, WorkflowExecutionInfo, WorkflowExecutionStatusName } from '@temporalio/client';
import type { BatchTotals } from '../core/batch-progress';
import { BACKUP_BATCH_WORKFLOW } from '../core/names';
import { bytesKey } from '../search-attributes';
import { pollerLook } from './pollers';
import { hasKeys } from './proof';
import { allRuns, kindOf, type RunKind } from './run-kinds';
import { memoOf } from './run-memo';
import { liveState, stateOf, type RunState } from './run-state';

/** One line of `file-backup runs`. */
export interface BackupRun {
  readonly kind: RunKind;
  readonly workflowId: string;
  readonly runId: string;
  readonly status: WorkflowExecutionStatusName;
  readonly state: RunState;
  /** What a live run waits for, in words. */
  readonly waitingFor: string | null;
  /** Empty for a time of a schedule, whose snapshot has one. */
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

type Info = WorkflowExecutionInfo | WorkflowExecutionDescription;

/** So many live runs of a listing are asked where they stand; it is a question to their workers. */
const MOST_ASKED = 100;

/** The newest, newest first. */
export async function listRuns(client: Client, limit: number): Promise<BackupRun[]> {
  const infos = await newestRuns(client, limit);
  const asked = new Set(infos.filter(({ status }) => status.name === 'RUNNING').slice(0, MOST_ASKED));
  const isPolled = pollerLook(client);
  return Promise.all(infos.map(async (info) => ({ ...runOf(client, info), ...(asked.has(info) ? await liveState(client, info, isPolled) : {}) })));
}

/**
 * The server lists running ones first, then those that ended last; sorting by their start is not offered by all of its
 * stores. What ended before the oldest of the newest began cannot be one of them.
 */
export async function newestRuns(client: Client, limit: number, query = allRuns): Promise<WorkflowExecutionInfo[]> {
  let found: WorkflowExecutionInfo[] = [];
  let oldest: Date | undefined;
  for await (const info of client.workflow.list({ query, pageSize: Math.min(limit, 1000) })) {
    if (oldest !== undefined && info.closeTime !== undefined && info.closeTime < oldest) break;
    found.push(info);
    if (found.length !== (oldest === undefined ? limit : 2 * limit)) continue;
    found = newestOf(found, limit);
    oldest = found.at(-1)?.startTime;
  }
  return newestOf(found, limit);
}

function newestOf(infos: readonly WorkflowExecutionInfo[], limit: number): WorkflowExecutionInfo[] {
  return [...infos].sort((a, b) => b.startTime.getTime() - a.startTime.getTime()).slice(0, limit);
}

/** What the server and the run's own notes tell. */
export function runOf(client: Client, info: Info): BackupRun {
  const memo = memoOf(client, info);
  return {
    kind: kindOf(info.type) ?? 'file',
    workflowId: info.workflowId,
    runId: info.runId,
    status: info.status.name,
    state: stateOf(client, info, memo),
    waitingFor: null,
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
