import { ActivityCancellationType, type ActivityOptions, type RetryPolicy } from '@temporalio/common';

/** How long until a worker is missed: the steps heartbeat twice a second, a busy machine may be late. */
const HEARTBEAT_TIMEOUT = '10 s';

/** Longest wait between two attempts. Without it the tenth retry of the slowest legal input would wait for four hours. */
export const MAX_RETRY_INTERVAL_MS = 300_000;

/** Slowest transfer that is still waited for: a step's time limit grows with the file. */
const SLOWEST_BYTES_PER_SECOND = 1024 * 1024;
const SHORTEST_TRANSFER_MS = 600_000;

/** Steps that look or write a few bytes. */
export const quick: ActivityOptions = {
  startToCloseTimeout: '2 min',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  // The SDK's real default is TRY_CANCEL: undo would start while the step still writes.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
};

/** Steps that read or write the whole file. */
export function transfer(sizeBytes: number): ActivityOptions {
  return { ...quick, startToCloseTimeout: SHORTEST_TRANSFER_MS + Math.ceil((sizeBytes / SLOWEST_BYTES_PER_SECOND) * 1000) };
}

/** A chunk of a batch: a thousand small files, or one that may be very large. */
export const chunk: ActivityOptions = { ...quick, startToCloseTimeout: '72 h' };

/** Pruning and checks, which read whole repositories: tried a few times, since the next night comes anyway. */
export const repository: ActivityOptions = { ...chunk, retry: { initialInterval: '10 s', backoffCoefficient: 4, maximumInterval: '10 min', maximumAttempts: 5 } };

/** Undo: tried for a day, since it alone puts back what was there before. */
export const undo: ActivityOptions = {
  ...quick,
  startToCloseTimeout: '10 min',
  scheduleToCloseTimeout: '24 h',
  retry: { initialInterval: '1 s', backoffCoefficient: 2, maximumInterval: '1 min' },
};

/** The commit: the copy is published and durable already, so after this long the janitor takes over. */
export const commit: ActivityOptions = {
  ...quick,
  scheduleToCloseTimeout: '10 min',
  retry: { initialInterval: '1 s', backoffCoefficient: 2, maximumInterval: '30 s' },
};

interface RetryInput {
  readonly maxRetries?: unknown;
  readonly retryDelayMs?: unknown;
}

/**
 * The retry policy of a step as the input declares it: `maxRetries + 1` attempts, waits of `retryDelayMs`, twice that
 * and so on. Input that the first step has not parsed yet is read with tolerance: it may be anything.
 * @param attemptsUsed attempts made before a wait for an open circuit
 */
export function retryPolicy(input: RetryInput | undefined, attemptsUsed = 0): RetryPolicy {
  const delayMs = within(input?.retryDelayMs, 100, 30_000, 1000);
  return {
    maximumAttempts: Math.max(1, attemptsOf(input) - attemptsUsed),
    initialInterval: retryDelayMs(delayMs, attemptsUsed + 1),
    backoffCoefficient: 2,
    maximumInterval: MAX_RETRY_INTERVAL_MS,
  };
}

/** How many attempts a step has, as the input declares it, the first one included. */
export function attemptsOf(input: RetryInput | undefined): number {
  return within(input?.maxRetries, 0, 10, 3) + 1;
}

/** Wait after the n-th attempt, counted from 1. */
export function retryDelayMs(initialMs: number, attempt: number): number {
  return Math.min(initialMs * 2 ** (attempt - 1), MAX_RETRY_INTERVAL_MS);
}

function within(value: unknown, least: number, most: number, fallback: number): number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? value : fallback;
}

/** Waiting for an open circuit: as long as the worker says, then twice that, up to the cap, in all at most the total. */
export const circuitWait = { capMs: 600_000, totalMs: 24 * 3_600_000 } as const;

/** Waiting for another run that takes the same snapshot: no longer than until the next night is near. */
export const turnWait = { firstMs: 1000, capMs: 300_000, totalMs: 12 * 3_600_000 } as const;

/** Interruptions that a step survives beyond its retries (deaths and shutdowns of workers, operators' pauses and resets): they say nothing about the file. */
export const MAX_INTERRUPTIONS = 100;
