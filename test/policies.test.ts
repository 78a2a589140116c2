import { ActivityCancellationType, type ActivityOptions } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time';
import fc from 'fast-check';
import { circuitWait, commit, MAX_RETRY_INTERVAL_MS, quick, retryDelayMs, retryPolicy, transfer, undo } from '../src/policies';

const policies: [string, ActivityOptions][] = [
  ['quick', quick],
  ['transfer', transfer(0)],
  ['undo', undo],
  ['commit', commit],
];

/** In milliseconds, as this project writes them. */
interface Retries {
  readonly maximumAttempts: number;
  readonly initialInterval: number;
  readonly backoffCoefficient: number;
  readonly maximumInterval: number;
}

function retries(input: Parameters<typeof retryPolicy>[0], attemptsUsed = 0): Retries {
  return retryPolicy(input, attemptsUsed) as unknown as Retries;
}

/** The waits of a policy, as the server computes them. */
function waits(input: Parameters<typeof retryPolicy>[0], attemptsUsed = 0): number[] {
  const { maximumAttempts, initialInterval, backoffCoefficient, maximumInterval } = retries(input, attemptsUsed);
  return Array.from({ length: maximumAttempts - 1 }, (_wait, index) => Math.min(initialInterval * backoffCoefficient ** index, maximumInterval));
}

test.each(policies)('%s waits for a cancelled step to end, so that undo does not start while it still writes', (_name, policy) => {
  expect(policy.cancellationType).toBe(ActivityCancellationType.WAIT_CANCELLATION_COMPLETED);
});

test.each(policies)('%s misses a dead worker by its heartbeat, well before the step\'s time is over', (_name, policy) => {
  expect(msToNumber(policy.heartbeatTimeout)).toBe(10_000);
  expect(msToNumber(policy.startToCloseTimeout)).toBeGreaterThan(60_000);
});

test('undo is tried for a day, the commit for ten minutes, both without a bound on attempts', () => {
  expect(msToNumber(undo.scheduleToCloseTimeout)).toBe(86_400_000);
  expect(msToNumber(commit.scheduleToCloseTimeout)).toBe(600_000);
  expect([undo.retry?.maximumAttempts, commit.retry?.maximumAttempts]).toEqual([undefined, undefined]);
});

test('the time of a transfer grows with the file: ten minutes, and a second for each MiB', () => {
  expect(transfer(0).startToCloseTimeout).toBe(600_000);
  expect(transfer(1).startToCloseTimeout).toBe(600_001);
  expect(transfer(200 * 1024 ** 3).startToCloseTimeout).toBe(600_000 + 204_800_000);
});

describe('retries of a step', () => {
  test('the default input waits 1, 2 and 4 seconds', () => {
    expect(waits({ maxRetries: 3, retryDelayMs: 1000 })).toEqual([1000, 2000, 4000]);
    expect(waits(undefined)).toEqual([1000, 2000, 4000]);
  });

  test('ten retries of 30 seconds are capped at five minutes: 37.5 minutes in all instead of eight hours and a half', () => {
    const sequence = waits({ maxRetries: 10, retryDelayMs: 30_000 });
    expect(sequence).toEqual([30_000, 60_000, 120_000, 240_000, 300_000, 300_000, 300_000, 300_000, 300_000, 300_000]);
    expect(sequence.reduce((sum, wait) => sum + wait)).toBe(2_250_000);
  });

  test('ten retries of 100 ms double every time, the eighth to the tenth too', () => {
    expect(waits({ maxRetries: 10, retryDelayMs: 100 })).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200]);
  });

  test('no retries are one attempt, never an unbounded number', () => {
    expect(retryPolicy({ maxRetries: 0, retryDelayMs: 100 }).maximumAttempts).toBe(1);
  });

  test('after a wait for an open circuit the sequence goes on where it was', () => {
    const input = { maxRetries: 10, retryDelayMs: 30_000 };
    expect(waits(input, 2)).toEqual(waits(input).slice(2));
    expect(waits(input, 7)).toEqual(waits(input).slice(7));
    expect(retryPolicy(input, 11).maximumAttempts).toBe(1);
    expect(retryPolicy(input, 50).maximumAttempts).toBe(1);
  });

  test.each([NaN, 1.5, -1, 11, '2', null, {}])('%p retries are no number that the input allows, so the default counts', (maxRetries) => {
    expect(retryPolicy({ maxRetries, retryDelayMs: 1000 }).maximumAttempts).toBe(4);
  });

  test('a wait that the workflow makes itself is as long as Temporal\'s', () => {
    const input = { maxRetries: 10, retryDelayMs: 30_000 };
    expect(waits(input).map((_wait, index) => retryDelayMs(30_000, index + 1))).toEqual(waits(input));
  });

  test('whatever stands in an input that nobody has checked yet, the policy is one that the SDK takes', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), fc.nat(60), (maxRetries, delayMs, attemptsUsed) => {
        const { maximumAttempts, initialInterval, maximumInterval } = retries({ maxRetries, retryDelayMs: delayMs }, attemptsUsed);
        expect(maximumAttempts).toBeGreaterThanOrEqual(1);
        expect(maximumAttempts).toBeLessThanOrEqual(11);
        expect(initialInterval).toBeGreaterThanOrEqual(100);
        expect(initialInterval).toBeLessThanOrEqual(maximumInterval);
        expect(maximumInterval).toBe(MAX_RETRY_INTERVAL_MS);
      }),
      { seed: 20_261_124 },
    );
  });
});

test('waiting for an open circuit is bounded: ten minutes at a time, a day in all', () => {
  expect(circuitWait).toEqual({ capMs: 600_000, totalMs: 86_400_000 });
});
