import { isCancellation, patched, sleep, workflowInfo } from '@temporalio/workflow';
import { failureKinds } from '../failures';
import { circuitWait } from '../policies';
import { showWait, type BatchRun } from './batch-run';
import { failureOf, type KnownFailure } from './failure-of';

/** Wait after the first time that the destination was found ill; doubles up to the cap of all waits for a destination. */
const FIRST_WAIT_MS = 5000;

/** What a patient step waits under: one of the chunks, or the beginning or end of the run. */
export type WaitKey = number | 'plan' | 'seal';

/**
 * Repeats a step while the destination is ill, but for a full one, or its circuit is open: it may be a disk that somebody mounts again. Each
 * wait is a durable timer and visible in `progress`.
 * @param mayGiveUp gives up, with undefined, once history is long enough: the next execution takes the step up
 */
export async function patiently<Result>(run: BatchRun, key: WaitKey, step: () => Promise<Result>, mayGiveUp: true): Promise<Result | undefined>;
export async function patiently<Result>(run: BatchRun, key: WaitKey, step: () => Promise<Result>, mayGiveUp?: false): Promise<Result>;
export async function patiently<Result>(run: BatchRun, key: WaitKey, step: () => Promise<Result>, mayGiveUp = false): Promise<Result | undefined> {
  for (let waits = 0; ; waits += 1) {
    try {
      return await step();
    } catch (error) {
      const failed = failureOf(error);
      const waitMs = Math.min(Math.max(failed.detail.retryAfterMs ?? 0, FIRST_WAIT_MS * 2 ** waits), circuitWait.capMs);
      if (isCancellation(error) || !mayPass(failed) || !mayWait(run, waitMs)) throw error;
      if (mayGiveUp && (run.stopping || workflowInfo().continueAsNewSuggested)) return undefined;
      await waitFor(run, key, waitMs, failed);
    }
  }
}

function mayPass({ type }: KnownFailure): boolean {
  const { permanent, blamesDestination } = failureKinds[type];
  // A full disk is not mended by plugging it in again: the attempts of the step were enough. Older runs waited.
  if (type === 'NoSpace' && patched('full-destination-ends')) return false;
  return type === 'CircuitOpen' || (blamesDestination && !permanent);
}

/** Lanes wait at the same time: what counts is for how long the batch as a whole has waited. */
function mayWait(run: BatchRun, waitMs: number): boolean {
  const startMs = Math.max(Date.now(), run.waitsUntilMs);
  const endMs = Math.max(startMs, Date.now() + waitMs);
  if (run.input.onCircuitOpen === 'fail' || run.waitedMs + (endMs - startMs) > circuitWait.totalMs) return false;
  run.waitedMs += endMs - startMs;
  run.waitsUntilMs = endMs;
  return true;
}

async function waitFor(run: BatchRun, key: WaitKey, waitMs: number, { type, message }: KnownFailure): Promise<void> {
  const what = type === 'CircuitOpen' ? 'circuit open' : 'destination ill';
  const reason = `${what}, next try at ${new Date(Date.now() + waitMs).toISOString()}`;
  showWait(run, key, `${reason}: ${message}`);
  try {
    await sleep(waitMs, { summary: reason });
  } finally {
    showWait(run, key, null);
  }
}
