import { sleep } from '@temporalio/workflow';
import type { RetryPolicy } from '@temporalio/common';
import { circuitWait, MAX_INTERRUPTIONS, retryPolicy } from '../policies';
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
 * Runs a step under the retry policy of the input. Two things end an activity without being the file's fault, and the
 * step goes on after them: an open circuit (waited for by a durable timer, attempts already used stay used), and the
 * death or shutdown of the worker.
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
      if (failed.type === 'CircuitOpen') {
        attemptsUsed += failed.detail.attempt ?? 0;
        options.onRetries(failed.detail.attempt ?? 0);
        const waitMs = Math.min(Math.max(1000, failed.detail.retryAfterMs ?? 0) * 2 ** waits, circuitWait.capMs);
        if (options.input?.onCircuitOpen === 'fail' || waitedMs + waitMs > circuitWait.totalMs) throw error;
        await waitForCircuit(waitMs, failed, options);
        waits += 1;
        waitedMs += waitMs;
      } else if (options.repeatAfterLoss && failed.interrupted && interruptions < MAX_INTERRUPTIONS) {
        interruptions += 1;
        options.onRetries(1);
      } else {
        options.onRetries(Math.max(0, (failed.detail.attempt ?? 1) - 1));
        throw error;
      }
    }
  }
}

async function waitForCircuit(waitMs: number, { message }: KnownFailure, { onWait }: AttemptOptions): Promise<void> {
  const reason = `circuit open until ${new Date(Date.now() + waitMs).toISOString()}`;
  onWait(`${reason}: ${message}`);
  await sleep(waitMs, { summary: reason });
  onWait(null);
}
