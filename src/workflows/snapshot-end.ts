import { CancellationScope, log, workflowInfo } from '@temporalio/workflow';
import type { DiscardedSnapshot } from '../activities';
import type { FailureType } from '../failures';
import type { SnapshotOutput } from '../snapshot-models';
import type { SnapshotRun } from './snapshot-run';
import { enterPhase } from './batch-run';
import { endWith } from './end-with';
import { failureOf } from './failure-of';
import { undoSteps } from './proxies';
import { snapshotOutput } from './snapshot-output';
import { DoneBefore } from './work-off';

/**
 * Ends a snapshot that was cancelled or could not be made: nothing of it stays; answers what the run ends with. A snapshot
 * that was published all the same stays, and is what the run came to.
 */
export async function endedSnapshot(run: SnapshotRun, error: unknown): Promise<unknown> {
  const { type, message } = failureOf(error);
  run.waits.clear();
  const { rollback, published } = await CancellationScope.nonCancellable(() => discard(run, type));
  if (published !== null) return new DoneBefore(snapshotOutput(run, published, null));
  const ending: FailureType = rollback === 'failed' ? 'RollbackFailed' : type;
  const text = rollback === 'failed' ? `${message} What was copied could not be removed from the repository.` : message;
  const output = snapshotOutput(run, undefined, { type: ending, message: text }, rollback);
  return endWith(output, ending, text, error);
}

/** Before there is a plan, there may be nothing to remove: no repository even. */
const beforeAnything: readonly FailureType[] = ['InvalidInput', 'NotOwnRun', 'SourceNotAllowed', 'TargetNotAllowed', 'TargetInsideRepository', 'RepositoryNotFound', 'RepositoryUnsupported'];

async function discard(run: SnapshotRun, type: FailureType): Promise<{ readonly rollback: SnapshotOutput['rollback'] } & DiscardedSnapshot> {
  if (run.batch === undefined && beforeAnything.includes(type)) return { rollback: 'notNeeded', published: null };
  enterPhase(run, 'undoing');
  try {
    const request = { repository: run.input.backupDir, runId: workflowInfo().firstExecutionRunId, startedAt: new Date(run.startedAtMs).toISOString() };
    const discarded = (await undoSteps.discardSnapshot.executeWithOptions({ summary: 'undo: remove what was copied' }, [request])) as DiscardedSnapshot | undefined;
    return { rollback: 'performed', published: discarded?.published ?? null };
  } catch (error) {
    log.error('Undo failed', { error: failureOf(error).message });
    return { rollback: 'failed', published: null };
  }
}
