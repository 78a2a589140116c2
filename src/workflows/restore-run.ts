import type { RestoreEnd, RestorePlan } from '../activities';
import type { RestoreInput } from '../restore-models';
import { withAttempts } from './attempts';
import { attemptsFor } from './batch-attempts';
import { journalsOf, type BatchRun, type RunInput } from './batch-run';
import { chunkSteps } from './proxies';

/** A restore while it runs. Its destination is the directory to restore to. */
export type RestoreRun = BatchRun<RestoreInput & RunInput, RestorePlan>;

/** Makes what is no file and adds everything up; of a restore that was cut short only the latter. */
export async function finishRestore(run: RestoreRun, restore: RestorePlan, cancelled: boolean): Promise<RestoreEnd> {
  const summary = cancelled ? 'add up what was restored' : 'make directories and links';
  return withAttempts(attemptsFor(run), (retry) => chunkSteps.finishRestore.executeWithOptions({ summary, retry }, [{ restore, cancelled, known: journalsOf(run) }]));
}

/** Removes what is the run's own. */
export async function closeRestore(run: RestoreRun, restore: RestorePlan, { failuresPath }: RestoreEnd): Promise<void> {
  await withAttempts(attemptsFor(run), (retry) => chunkSteps.closeRestore.executeWithOptions({ summary: 'remove what is left of the run', retry }, [{ restore, failuresPath }]));
}
