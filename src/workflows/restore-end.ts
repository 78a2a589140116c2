import { ApplicationFailure, CancellationScope, log, upsertMemo } from '@temporalio/workflow';
import type { RestoreEnd } from '../activities';
import { discardRun } from './discard-run';
import { failureOf } from './failure-of';
import { restoreOutput } from './restore-output';
import { closeRestore, finishRestore, type RestoreRun } from './restore-snapshot';

/** Temporal keeps memos small. */
const MEMO_SAMPLE = 3;

/** Ends a restore that was cancelled or failed as a whole: what is restored stays, and nothing else of it. */
export async function endedRestore(run: RestoreRun, error: unknown): Promise<unknown> {
  const { type, message } = failureOf(error);
  run.waits.clear();
  const end = await CancellationScope.nonCancellable(() => addedUp(run));
  const output = restoreOutput(run, end, { type, message });
  if (CancellationScope.current().consideredCancelled) upsertMemo({ output: { ...output, failureSample: output.failureSample.slice(0, MEMO_SAMPLE), skippedSample: output.skippedSample.slice(0, MEMO_SAMPLE) } });
  return type === 'Cancelled' ? error : ApplicationFailure.create({ type, message, nonRetryable: true, details: [output], cause: error instanceof Error ? error : undefined });
}

/** The destination may be what is broken: then a worker's janitor removes what is left. */
async function addedUp(run: RestoreRun): Promise<RestoreEnd | undefined> {
  if (run.batch === undefined) {
    await discardRun();
    return undefined;
  }
  const { batch } = run;
  let end: RestoreEnd | undefined;
  try {
    end = await finishRestore(run, batch, true);
    await closeRestore(run, batch, end);
  } catch (error) {
    log.warn('A restore could not be added up and closed', { error: failureOf(error).message });
  }
  return end;
}
