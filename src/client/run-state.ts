import type { Client, WorkflowExecutionDescription, WorkflowExecutionInfo } from '@temporalio/client';
import type { BatchProgress } from '../core/batch-progress';
import { PROGRESS_QUERY, STATUS_QUERY, type BackupState } from '../core/names';
import type { FileBackupStatus, ScheduledStatus } from '../core/status';
import { stateKey } from '../search-attributes';
import { hasKeys } from './proof';
import { askQuery } from './query';
import { isOfManyFiles, kindOf } from './run-kinds';
import type { ProvenMemo } from './run-memo';

/**
 * Where a run stands. Besides what the run says of itself: `paused` by somebody, `waiting` for its destination,
 * `interrupted`: nobody is there who goes on with it; ended without undo is `terminated` or `timedOut`; `notAuthentic`:
 * somebody has ended it in the name of its worker.
 */
export type RunState = BackupState | 'paused' | 'waiting' | 'interrupted' | 'cancelled' | 'terminated' | 'timedOut' | 'notAuthentic';

type Info = WorkflowExecutionInfo | WorkflowExecutionDescription;

/** State of a run that somebody has ended in the name of its worker. */
export const NOT_AUTHENTIC = 'notAuthentic';

/**
 * As the server's status and the run's own note tell. Search attributes are anybody's: with keys, what a run notes of its
 * end in its memo is what counts.
 */
export function stateOf(client: Client, { status, typedSearchAttributes }: Info, { end, totals }: ProvenMemo): RunState {
  const noted = notedEnd(hasKeys(client) ? end?.state : typedSearchAttributes.get(stateKey));
  switch (status.name) {
    case 'COMPLETED':
      if (noted !== undefined) return noted;
      if (hasKeys(client)) return NOT_AUTHENTIC;
      return totals !== undefined && totals.successfulFiles < totals.totalFiles ? 'partial' : 'committed';
    case 'FAILED':
      return noted ?? 'failed';
    case 'CANCELLED':
      // That something is left has to be seen, whoever ended it.
      return noted === 'inconsistent' ? noted : 'cancelled';
    case 'TERMINATED':
      return 'terminated';
    case 'TIMED_OUT':
      return 'timedOut';
    case 'PAUSED':
      return 'paused';
    default:
      return 'active';
  }
}

const ends: readonly BackupState[] = ['committed', 'partial', 'rolledBack', 'failed', 'inconsistent'];

/** What a run wrote at its beginning says nothing of its end. */
function notedEnd(state: string | undefined): BackupState | undefined {
  return ends.find((each) => each === state);
}

/** Where a run stands that goes on, and what it waits for. */
export interface LiveState {
  readonly state: RunState;
  readonly waitingFor: string | null;
}

/** A worker answers in milliseconds; without one the server itself would keep a query waiting for half a minute. */
const ANSWER_WITHIN_MS = 1000;

/** Asks the run's worker, where one is there. */
export async function liveState(client: Client, info: Info, isPolled: (taskQueue: string) => Promise<boolean>): Promise<LiveState> {
  if (!(await isPolled(info.taskQueue))) return { state: 'interrupted', waitingFor: null };
  try {
    return await client.withDeadline(Date.now() + ANSWER_WITHIN_MS, () => askState(client, info));
  } catch {
    // Its worker is busy, or does not prove who it is: all that is known is that somebody is at work.
    return { state: 'active', waitingFor: null };
  }
}

async function askState(client: Client, info: Info): Promise<LiveState> {
  const kind = kindOf(info.type);
  if (kind === undefined || !isOfManyFiles(kind)) {
    const { waitingFor } = await askQuery<FileBackupStatus | ScheduledStatus>(client, info, STATUS_QUERY);
    return { state: waitingFor === null ? 'active' : 'waiting', waitingFor };
  }
  const { state, waitingFor } = await askQuery<BatchProgress>(client, info, PROGRESS_QUERY);
  return { state: state === 'paused' || state === 'waiting' ? state : 'active', waitingFor };
}
