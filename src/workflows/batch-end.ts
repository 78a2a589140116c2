import { CancellationScope, log } from '@temporalio/workflow';
import type { Batch, RunSummary } from '../activities';
import type { BatchBackupOutput } from '../batch-models';
import { chunksPerSum } from '../core/journal-sums';
import type { FailureType } from '../failures';
import { batchOutput } from './batch-output';
import type { FileBatch } from './batch-job';
import { enterPhase, journalsOf } from './batch-run';
import { discardRun } from './discard-run';
import { endWith } from './end-with';
import { failureOf } from './failure-of';
import { undoSteps } from './proxies';
import { sealBatch } from './seal-batch';

/** Undo of so many chunks is one step, in a run without a proof. */
const CHUNKS_PER_UNDO = 100;

/** What became of a batch that did not end well. */
interface Ending {
  readonly rollback: BatchBackupOutput['rollback'];
  readonly summary: RunSummary | undefined;
  /** What else went wrong on the way. */
  readonly trouble: string;
}

/** Ends a batch that was cancelled or failed as a whole: undone where that was asked for, sealed; answers what it ends with. */
export async function endedBatch(run: FileBatch, error: unknown): Promise<unknown> {
  const { type, message } = failureOf(error);
  run.waits.clear();
  const { rollback, summary, trouble } = await CancellationScope.nonCancellable(() => (run.batch === undefined ? discarded() : undoneAndSealed(run, run.batch, type)));
  const text = [message, trouble].filter((part) => part !== '').join(' ');
  const ending: FailureType = rollback === 'failed' ? 'RollbackFailed' : type;
  const output = batchOutput(run, summary, { type: ending, message: text }, rollback);
  return endWith(output, ending, text, error);
}

async function discarded(): Promise<Ending> {
  await discardRun();
  return { rollback: 'notNeeded', summary: undefined, trouble: '' };
}

async function undoneAndSealed(run: FileBatch, batch: Batch, type: FailureType): Promise<Ending> {
  const rollback = run.input.onFailure === 'rollBack' ? await undo(run, batch) : 'notNeeded';
  // What undo could not put back is kept only here.
  if (rollback === 'failed') return { rollback, summary: undefined, trouble: 'Undo did not finish; what it needs stays in the run\'s directory.' };
  try {
    return { rollback, summary: await sealBatch(run, batch, type === 'Cancelled' ? 'cancelled' : 'failed'), trouble: '' };
  } catch (error) {
    // The destination may be what is broken: the record in history is enough then.
    return { rollback, summary: undefined, trouble: `The run's record could not be written: ${failureOf(error).message}` };
  }
}

async function undo(run: FileBatch, batch: Batch): Promise<Ending['rollback']> {
  enterPhase(run, 'undoing');
  try {
    const { committed } = await undoSteps.revokeRun.executeWithOptions({ summary: 'undo: let no chunk publish any more' }, [{ batch }]);
    if (committed) return 'notNeeded';
    const known = journalsOf(run);
    const most = known === undefined ? CHUNKS_PER_UNDO : chunksPerSum(batch.chunks);
    for (let end = run.nextChunk, count = 0; end > 0; end -= count) {
      // All of one sum, by which their journals are compared before anything is done.
      count = ((end - 1) % most) + 1;
      await undoSteps.undoChunks.executeWithOptions({ summary: `undo: ${count} chunks` }, [{ batch, end, count, known }]);
    }
    return 'performed';
  } catch (error) {
    log.error('Undo failed', { error: failureOf(error).message });
    return 'failed';
  }
}
