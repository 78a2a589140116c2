import { sleep } from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/common';
import type { StepLabel } from '../core/status';
import { failureKinds } from '../failures';
import { retryDelayMs } from '../policies';
import { withAttempts } from './attempts';
import { failureOf } from './failure-of';
import { enter, type FileRun } from './file-run';

type Call<Result> = (options: ActivityOptions) => Promise<Result>;

/** Runs one step of the saga: shown in details and query, named in the history, retried as the input says. */
export function runStep<Result extends { readonly attempt: number }>(run: FileRun, label: StepLabel, summary: string, call: Call<Result>, repeatAfterLoss = true): Promise<Result> {
  enter(run, label);
  const attempts = {
    input: run.input,
    repeatAfterLoss,
    onRetries: (count: number) => void (run.retryCount += count),
    onWait: (reason: string | null) => enter(run, label, reason),
  };
  return withAttempts(attempts, (retry) => call({ summary, retry: { ...retry, nonRetryableErrorTypes: ['ChecksumMismatch'] } }));
}

/**
 * Runs a comparison and keeps what it found. Reading the same bad copy again is pointless, so a mismatch comes back as
 * false, for a fresh copy, and is thrown only in the final cycle.
 */
export async function compare(run: FileRun, finalCycle: boolean, summary: string, call: Call<{ readonly attempt: number; readonly from: 'device' | 'cache' }>): Promise<boolean> {
  try {
    const { from } = await runStep(run, 'verify', summary, call);
    run.checksumMatch = true;
    run.verifiedFrom = from;
    return true;
  } catch (error) {
    if (failureOf(error).type !== 'ChecksumMismatch') throw error;
    run.checksumMatch = false;
    if (finalCycle) throw error;
    return false;
  }
}

/** Waits as a retry would, then lets the copy be made anew. */
export async function waitForFreshCopy(run: FileRun, cycle: number, delayMs: number): Promise<void> {
  run.retryCount += 1;
  enter(run, 'stage', 'a fresh copy after a failed one');
  await sleep(retryDelayMs(delayMs, cycle), { summary: `fresh copy ${cycle + 1}` });
}

/** True for a failure of a step that has ended and that may pass: one that timed out or stalled may still be writing. */
export function isReportedAndTransient(error: unknown): boolean {
  const { type } = failureOf(error);
  return type !== 'TimedOut' && type !== 'Stalled' && !failureKinds[type].permanent;
}
