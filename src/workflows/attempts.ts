import { sleep } from '@temporalio/workflow';
import type { RetryPolicy } from '@temporalio/common';
import { attemptsOf, circuitWait, MAX_INTERRUPTIONS, retryPolicy } from '../policies';
import { failureOf, type KnownFailure } from './failure-of';

/** What the attempts of a step need to know of the operation. */
export interface AttemptOptions {
  readonly input: { readonly maxRetries?: unknown; readonly retryDelayMs?: unknown; readonly onCircuitOpen?: unknown } | undefined;
  /** False for a step that must not run again while a lost attempt of it may still be at work. */
  readonly repeatAfterLoss: boolean;
  /** Told about each attempt beyond the first. */
  readonly onRetries: (count: number) => void;
  /** Told what the run waits for, and null when it goes on. */
  readonly onWait: (reason: string | null) => void;
}

/**
 * Runs a step under the retry policy of the input. What ends an activity without being the file's fault uses up no retry,
 * and the step goes on after it: an open circuit (waited for by a durable timer), the death or shutdown of the worker, and
 * an operator who pauses or resets the step. Attempts already used stay used.
 */
export async function withAttempts<Result extends { readonly attempt: number }>(options: AttemptOptions, run: (retry: RetryPolicy) => Promise<Result>): Promise<Result> {
  let attemptsUsed = 0;
  let interruptions = 0;
  let waitedMs = 0;
  for (let waits = 0; ; ) {
    const retry = retryPolicy(options.input, attemptsUsed);
    try {
      const result = await run(retry);
      options.onRetries(result.attempt - 1);
      return result;
    } catch (error) {
      const failed = failureOf(error);
      const { attempt = 1, interruptions: uncounted = 0, retryAfterMs = 0 } = failed.detail;
      if (failed.type === 'CircuitOpen') {
        const used = failed.detail.attempt ?? 0;
        attemptsUsed += used;
        options.onRetries(used + uncounted);
        const waitMs = Math.min(Math.max(1000, retryAfterMs) * 2 ** waits, circuitWait.capMs);
        if (options.input?.onCircuitOpen === 'fail' || waitedMs + waitMs > circuitWait.totalMs) throw error;
        await waitForCircuit(waitMs, failed, options);
        waits += 1;
        waitedMs += waitMs;
      } else if (mayGoOn(failed, options) && interruptions < MAX_INTERRUPTIONS) {
        attemptsUsed += attempt - 1;
        interruptions += 1;
        options.onRetries(attempt + uncounted);
      } else if (isCutShort(failed, options) && attemptsUsed + attempt < attemptsOf(options.input) && interruptions < MAX_INTERRUPTIONS) {
        attemptsUsed += attempt;
        interruptions += uncounted;
        options.onRetries(attempt + uncounted);
        await sleep(retryPolicy(options.input, attemptsUsed - 1).initialInterval ?? 0, { summary: 'try again: interrupted attempts do not count' });
      } else {
        options.onRetries(Math.max(0, attempt - 1) + uncounted);
        throw error;
      }
    }
  }
}

/** For steps whose attempts the input does not decide: repeats what was interrupted as if it had not run. */
export async function afterInterruptions<Result>(run: () => Promise<Result>): Promise<Result> {
  for (let interruptions = 0; ; interruptions += 1) {
    try {
      return await run();
    } catch (error) {
      if (!failureOf(error).interrupted || interruptions >= MAX_INTERRUPTIONS) throw error;
    }
  }
}

function mayGoOn({ interrupted, reported }: KnownFailure, { repeatAfterLoss }: AttemptOptions): boolean {
  return interrupted && (reported || repeatAfterLoss);
}

/** The server has counted interrupted attempts as well, and has given up too early. */
function isCutShort({ isOutOfAttempts, detail }: KnownFailure, { repeatAfterLoss }: AttemptOptions): boolean {
  return repeatAfterLoss && isOutOfAttempts && (detail.interruptions ?? 0) > 0;
}

async function waitForCircuit(waitMs: number, { message }: KnownFailure, { onWait }: AttemptOptions): Promise<void> {
  const reason = `circuit open until ${new Date(Date.now() + waitMs).toISOString()}`;
  onWait(`${reason}: ${message}`);
  await sleep(waitMs, { summary: reason });
  onWait(null);
}
