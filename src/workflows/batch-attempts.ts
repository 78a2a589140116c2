import type { AttemptOptions } from './attempts';
import { showWait, type BatchRun } from './batch-run';

/** How the steps of a batch are tried again, and how that is shown. What waits for a circuit is patient by itself. */
export function attemptsFor(run: BatchRun): AttemptOptions {
  const { maxRetries, retryDelayMs } = run.input;
  return {
    input: { maxRetries, retryDelayMs, onCircuitOpen: 'fail' },
    repeatAfterLoss: true,
    onRetries: (count) => void (run.retryCount += count),
    onWait: (reason) => showWait(run, 'circuit', reason),
  };
}
