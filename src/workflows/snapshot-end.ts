import { CancellationScope, log, workflowInfo } from '@temporalio/workflow';
import type { FailureType } from '../failures';
import type { SnapshotOutput } from '../snapshot-models';
import type { SnapshotRun } from './backup-snapshot';
import { enterPhase } from './batch-run';
import { endWith } from './end-with';
import { failureOf } from './failure-of';
import { undoSteps } from './proxies';
import { snapshotOutput } from './snapshot-output';

/** Ends a snapshot that was cancelled or could not be made: nothing of it stays; answers what the run ends with. */
export async function endedSnapshot(run: SnapshotRun, error: unknown): Promise<unknown> {
  const { type, message } = failureOf(error);
  run.waits.clear();
  const rollback = await CancellationScope.nonCancellable(() => discard(run, type));
  const ending: FailureType = rollback === 'failed' ? 'RollbackFailed' : type;
  const text = rollback === 'failed' ? `${message} What was copied could not be removed from the repository.` : message;
  const output = snapshotOutput(run, undefined, { type: ending, message: text }, rollback);
  return endWith(output, ending, text, error);
}

/** Before there is a plan, there may be nothing to remove: no repository even. */
const beforeAnything: readonly FailureType[] = ['InvalidInput', 'NotOwnRun', 'SourceNotAllowed', 'TargetNotAllowed', 'TargetInsideRepository', 'RepositoryNotFound', 'RepositoryUnsupported'];

async function discard(run: SnapshotRun, type: FailureType): Promise<SnapshotOutput['rollback']> {
  if (run.batch === undefined && beforeAnything.includes(type)) return 'notNeeded';
  enterPhase(run, 'undoing');
  try {
    const request = { repository: run.input.backupDir, runId: workflowInfo().firstExecutionRunId };
    await undoSteps.discardSnapshot.executeWithOptions({ summary: 'undo: remove what was copied' }, [request]);
    return 'performed';
  } catch (error) {
    log.error('Undo failed', { error: failureOf(error).message });
    return 'failed';
  }
}
