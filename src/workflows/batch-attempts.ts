import type { AttemptOptions } from './attempts';
import { enterPhase, type BatchRun } from './batch-run';

/** How the steps of a batch are tried again, and how that is shown. */
export function attemptsFor(run: BatchRun): AttemptOptions {
  return {
    input: run.input,
    repeatAfterLoss: true,
    onRetries: (count) => void (run.retryCount += count),
    onWait: (reason) => enterPhase(run, reason === null ? 'running' : 'waiting', reason),
  };
}
