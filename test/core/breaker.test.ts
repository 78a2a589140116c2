import fc from 'fast-check';
import { admit, closedBreaker, defaultBreakerOptions as options, failed, probeFinished, succeeded, type Admission, type BreakerState } from '../../src/core/breaker';

/** The state after so many failures in a row, at time 0. */
function afterFailures(count: number, start: BreakerState = closedBreaker): BreakerState {
  let state = start;
  for (let failure = 0; failure < count; failure += 1) state = failed(state, 0, options);
  return state;
}

const open = afterFailures(options.failureThreshold);

/** Half-open, with so many probes under way. */
function halfOpen(probes: number): BreakerState {
  let state = open;
  for (let probe = 0; probe < probes; probe += 1) [state] = admit(state, options.recoveryTimeoutMs, options);
  return state;
}

test('the numbers are those of the tutorial', () => {
  expect(options).toEqual({ failureThreshold: 5, recoveryTimeoutMs: 60_000, maxProbes: 3 });
});

describe('closed', () => {
  test('lets everybody in', () => {
    expect(admit(closedBreaker, 0, options)).toEqual([closedBreaker, { kind: 'allow' }]);
    expect(admit(afterFailures(4), 0, options)[1]).toEqual({ kind: 'allow' });
  });

  test('opens at the fifth failure and not before', () => {
    expect(afterFailures(4)).toEqual({ status: 'closed', failures: 4 });
    expect(afterFailures(5)).toEqual({ status: 'open', openedAtMs: 0 });
  });

  test('a success takes back one failure, and never more than there were', () => {
    expect(succeeded(afterFailures(4))).toEqual({ status: 'closed', failures: 3 });
    expect(succeeded(closedBreaker)).toEqual(closedBreaker);
  });

  test('failures and successes in turn never open it, two failures to one success do', () => {
    let turns: BreakerState = closedBreaker;
    for (let turn = 0; turn < 100; turn += 1) turns = succeeded(afterFailures(1, turns));
    expect(turns).toEqual(closedBreaker);
    let two: BreakerState = closedBreaker;
    for (let turn = 0; turn < 4; turn += 1) two = succeeded(afterFailures(2, two));
    expect(two.status).toBe('open');
  });
});

describe('open', () => {
  test('rejects for the whole recovery time, and says how much of it is left', () => {
    expect(admit(open, 0, options)[1]).toEqual({ kind: 'reject', retryAfterMs: 60_000 });
    expect(admit(open, 59_999, options)[1]).toEqual({ kind: 'reject', retryAfterMs: 1 });
  });

  test('a rejection changes nothing', () => {
    expect(admit(open, 30_000, options)[0]).toBe(open);
  });

  test('late failures and successes change nothing: neither longer nor shorter', () => {
    expect(failed(open, 50_000, options)).toBe(open);
    expect(succeeded(open)).toBe(open);
    expect(probeFinished(open, true, 50_000)).toBe(open);
    expect(probeFinished(open, false, 50_000)).toBe(open);
  });

  test('lets a probe through once the recovery time is over', () => {
    expect(admit(open, 60_000, options)).toEqual([{ status: 'halfOpen', openedAtMs: 0, probes: 1 }, { kind: 'probe' }]);
  });

  test('a clock that was set back does not keep it open', () => {
    expect(admit(open, -1, options)[1]).toEqual({ kind: 'probe' });
  });

  test('recovers under constant traffic', () => {
    const kinds: string[] = [];
    let state = open;
    for (let nowMs = 0; nowMs <= 60_000; nowMs += 100) {
      let admission: Admission;
      [state, admission] = admit(state, nowMs, options);
      kinds.push(admission.kind);
    }
    expect(kinds.indexOf('probe')).toBe(600);
  });
});

describe('half-open', () => {
  test('lets at most three probes through at a time, and turns the others away at once and unchanged', () => {
    expect(admit(halfOpen(2), 60_000, options)[1]).toEqual({ kind: 'probe' });
    const full = halfOpen(3);
    expect(admit(full, 60_000, options)).toEqual([full, { kind: 'reject', retryAfterMs: 6000 }]);
  });

  test('with short recovery times those turned away are still told to wait a second', () => {
    const short = { ...options, recoveryTimeoutMs: 1000 };
    expect(admit(halfOpen(3), 60_000, short)[1]).toEqual({ kind: 'reject', retryAfterMs: 1000 });
  });

  test('one good probe closes it, with all failures forgotten', () => {
    expect(probeFinished(halfOpen(3), true, 61_000)).toEqual(closedBreaker);
  });

  test('one bad probe opens it again for the full recovery time', () => {
    const reopened = probeFinished(halfOpen(1), false, 61_000);
    expect(reopened).toEqual({ status: 'open', openedAtMs: 61_000 });
    expect(admit(reopened, 61_001, options)[1]).toEqual({ kind: 'reject', retryAfterMs: 59_999 });
  });

  test('operations that were under way before decide nothing', () => {
    const state = halfOpen(1);
    expect(failed(state, 61_000, options)).toBe(state);
    expect(succeeded(state)).toBe(state);
  });
});

test('a probe that comes back after the circuit has closed changes nothing', () => {
  expect(probeFinished(closedBreaker, false, 0)).toBe(closedBreaker);
});

test('whatever happens: the state fits JSON, probes stay bounded, and nobody waits longer than the recovery time', () => {
  const small = { failureThreshold: 2, recoveryTimeoutMs: 2000, maxProbes: 2 };
  const event = fc.record({ kind: fc.constantFrom('admit', 'admit', 'admit', 'succeeded', 'failed', 'failed', 'healthy', 'ill'), afterMs: fc.integer({ min: -500, max: 1500 }) });
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(event, { minLength: 20, maxLength: 100 }), (events) => {
      let state: BreakerState = closedBreaker;
      let nowMs = 0;
      let probes = 0;
      for (const { kind, afterMs } of events) {
        nowMs += afterMs;
        if (kind === 'admit') {
          const [next, admission] = admit(state, nowMs, small);
          seen.add(`${state.status} ${admission.kind}`);
          if (admission.kind === 'probe') probes += 1;
          if (admission.kind === 'reject') {
            expect(next).toBe(state);
            expect(admission.retryAfterMs).toBeGreaterThan(0);
            expect(admission.retryAfterMs).toBeLessThanOrEqual(small.recoveryTimeoutMs);
          }
          state = next;
        } else if (kind === 'succeeded') state = succeeded(state);
        else if (kind === 'failed') state = failed(state, nowMs, small);
        else state = probeFinished(state, kind === 'healthy', nowMs);
        if (state.status !== 'halfOpen') probes = 0;
        expect(probes).toBeLessThanOrEqual(small.maxProbes);
        expect(JSON.parse(JSON.stringify(state))).toEqual(state);
        if (state.status === 'closed') expect(state.failures).toBeLessThan(small.failureThreshold);
      }
    }),
    { seed: 20_261_124 },
  );
  expect([...seen].sort()).toEqual(['closed allow', 'halfOpen probe', 'halfOpen reject', 'open probe', 'open reject']);
});
