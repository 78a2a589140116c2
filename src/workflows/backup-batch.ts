import { allHandlersFinished, ApplicationFailure, CancellationScope, condition, continueAsNew, isCancellation, upsertMemo, workflowInfo } from '@temporalio/workflow';
import type { Batch } from '../activities';
import type { BatchBackupInput, BatchBackupOutput } from '../batch-models';
import type { FailureType } from '../failures';
import { carriedState, enterPhase, startBatchRun, type BatchOptions, type BatchRun, type BatchState } from './batch-run';
import { batchOutput } from './batch-output';
import { backUpChunk } from './chunk-lane';
import { failureOf } from './failure-of';
import { batchSteps } from './proxies';
import { withAttempts } from './attempts';
import { attemptsFor } from './batch-attempts';

/** Where undo of many chunks heartbeats as one step. */
const CHUNKS_PER_UNDO = 20;

/**
 * Backs a list of files up: plan → chunks in lanes → seal. A chunk of up to a thousand files is one activity, so history
 * grows by some six events for each; when the server suggests it, the lanes are drained and the run continues as new with
 * a state of constant size. Completes with a record, also when files failed; fails when the batch as a whole did.
 */
export async function backupBatch(input: BatchBackupInput, options: BatchOptions, carried?: BatchState): Promise<BatchBackupOutput> {
  const run = startBatchRun(input, carried);
  try {
    run.batch ??= await plan(run);
    takeInput(run, run.batch);
    enterPhase(run, 'running');
    await runLanes(run, run.batch, options);
  } catch (error) {
    throw await ended(run, error);
  }
  if (run.nextChunk < run.batch.chunks) {
    await condition(allHandlersFinished);
    await continueAsNew<typeof backupBatch>(inputOf(run), options, carriedState(run));
  }
  const { summary } = await seal(run, run.batch, 'complete');
  await condition(allHandlersFinished);
  return batchOutput(run, summary, null);
}

/** From here on with every default filled in: whoever started the workflow may have left them out. */
function takeInput(run: BatchRun, { input }: Batch): void {
  run.input = input;
  run.lanes ||= input.lanes;
}

/** The list itself is in the plan by now, and need not travel on. */
function inputOf({ input }: BatchRun): BatchBackupInput {
  return { ...input, sources: undefined, sourceList: undefined };
}

async function plan(run: BatchRun): Promise<Batch> {
  enterPhase(run, 'planning');
  const runId = workflowInfo().firstExecutionRunId;
  return withAttempts(attemptsFor(run), (retry) => batchSteps.planBatch.executeWithOptions({ summary: 'plan the batch', retry }, [{ input: run.input, runId }]));
}

/** Every lane takes the next chunk until there is none, or until history is long enough to start afresh. */
async function runLanes(run: BatchRun, batch: Batch, options: BatchOptions): Promise<void> {
  const lanes = Array.from({ length: 64 }, (_, lane) => laneOf(run, batch, options, lane));
  const results = await Promise.allSettled(lanes);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function laneOf(run: BatchRun, batch: Batch, options: BatchOptions, lane: number): Promise<void> {
  for (;;) {
    await condition(() => run.stopping || run.nextChunk >= batch.chunks || (!run.paused && lane < run.lanes));
    if (run.stopping || run.nextChunk >= batch.chunks || workflowInfo().continueAsNewSuggested) return;
    const chunk = run.nextChunk;
    run.nextChunk += 1;
    run.current.add(chunk);
    try {
      await backUpChunk(run, batch, chunk, options);
    } catch (error) {
      // The other lanes finish what they have and take no more.
      run.stopping = true;
      throw error;
    } finally {
      run.current.delete(chunk);
    }
  }
}

/** Ends a batch that was cancelled or failed as a whole: undone where that was asked for, sealed in any case. */
async function ended(run: BatchRun, error: unknown): Promise<unknown> {
  const { batch } = run;
  const { type, message } = failureOf(error);
  if (batch === undefined) return isCancellation(error) ? error : typed(run, type, message, batchOutput(run, undefined, { type, message }), error);
  return CancellationScope.nonCancellable(async () => {
    const rollback = run.input.onFailure === 'rollBack' ? await undo(run, batch) : 'notNeeded';
    const { summary, trouble } = await sealQuietly(run, batch, type === 'Cancelled' ? 'cancelled' : 'failed');
    const text = [message, rollback === 'failed' ? 'Undo did not finish.' : '', trouble].filter((part) => part !== '').join(' ');
    const ending: FailureType = rollback === 'failed' ? 'RollbackFailed' : type;
    const output = batchOutput(run, summary, { type: ending, message: text }, rollback);
    if (ending !== 'Cancelled') return typed(run, ending, text, output, error);
    upsertMemo({ output });
    return error;
  });
}

async function undo(run: BatchRun, batch: Batch): Promise<'performed' | 'failed'> {
  enterPhase(run, 'undoing');
  try {
    await batchSteps.revokeRun.executeWithOptions({ summary: 'undo: let no chunk publish any more' }, [{ batch }]);
    for (let end = run.nextChunk; end > 0; end -= CHUNKS_PER_UNDO) {
      const chunks = Array.from({ length: Math.min(CHUNKS_PER_UNDO, end) }, (_, index) => end - 1 - index);
      await batchSteps.undoChunks.executeWithOptions({ summary: `undo: ${chunks.length} chunks` }, [{ batch, chunks }]);
    }
    return 'performed';
  } catch {
    return 'failed';
  }
}

async function seal(run: BatchRun, batch: Batch, state: string) {
  enterPhase(run, 'sealing');
  const { operationId, metadata, backupDir, layout } = run.input;
  const facts = { state, operationId, metadata, backupDir, layout, workflowId: workflowInfo().workflowId, startedAt: new Date(run.startedAtMs).toISOString(), endedAt: new Date().toISOString() };
  const summary = await batchSteps.sealRun.executeWithOptions({ summary: 'write manifest and summary' }, [{ batch, facts }]);
  return { summary, trouble: '' };
}

/** The destination may be what is broken: the record in history is enough then. */
async function sealQuietly(run: BatchRun, batch: Batch, state: string) {
  try {
    return await seal(run, batch, state);
  } catch (error) {
    return { summary: undefined, trouble: `The run's record could not be written: ${failureOf(error).message}` };
  }
}

function typed(run: BatchRun, type: FailureType, message: string, output: BatchBackupOutput, error: unknown): ApplicationFailure {
  enterPhase(run, 'done');
  return ApplicationFailure.create({ type, message, nonRetryable: true, details: [output], cause: error instanceof Error ? error : undefined });
}
