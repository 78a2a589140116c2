import { CancellationScope, log } from '@temporalio/workflow';
import type { RestoreEnd } from '../activities';
import { discardRun } from './discard-run';
import { endWith } from './end-with';
import { failureOf } from './failure-of';
import { restoreOutput } from './restore-output';
import { closeRestore, finishRestore, type RestoreRun } from './restore-run';

/** Ends a restore that was cancelled or failed as a whole: what is restored stays, and nothing else of it. */
export async function endedRestore(run: RestoreRun, error: unknown): Promise<unknown> {
  const { type, message } = failureOf(error);
  run.waits.clear();
  const end = await CancellationScope.nonCancellable(() => addedUp(run));
  const output = restoreOutput(run, end, { type, message });
  return endWith(output, type, message, error);
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
