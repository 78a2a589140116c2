/**
 * Circuit breaker as a pure state machine: (state, event, time) → state. One per destination.
 *
 * The numbers are those of the tutorial that this project grew out of (5 failures, 60 s, 3 probes, 1 success, and a
 * success takes back one failure), without its defects: a rejection changes nothing, probes are bounded, and callers
 * never queue behind a probe.
 */
export interface BreakerOptions {
  /** Consecutive failed operations that open the circuit. */
  readonly failureThreshold: number;
  /** How long an open circuit rejects before it lets a probe through. */
  readonly recoveryTimeoutMs: number;
  /** Probes allowed at the same time while half-open. */
  readonly maxProbes: number;
}

export const defaultBreakerOptions: BreakerOptions = { failureThreshold: 5, recoveryTimeoutMs: 60_000, maxProbes: 3 };

export type BreakerState =
  | { readonly status: 'closed'; readonly failures: number }
  | { readonly status: 'open'; readonly openedAtMs: number }
  | { readonly status: 'halfOpen'; readonly openedAtMs: number; readonly probes: number };

export type Admission =
  | { readonly kind: 'allow' }
  | { readonly kind: 'probe' }
  | { readonly kind: 'reject'; readonly retryAfterMs: number };

export const closedBreaker: BreakerState = { status: 'closed', failures: 0 };

/** Asks for entry. A `probe` admission must be answered by `probeFinished`. A rejection leaves the state as it was. */
export function admit(state: BreakerState, nowMs: number, options: BreakerOptions): [BreakerState, Admission] {
  if (state.status === 'closed') return [state, { kind: 'allow' }];
  if (state.status === 'open') {
    const waitedMs = nowMs - state.openedAtMs;
    // A clock that was set back must not keep the circuit open for longer than the recovery time.
    if (waitedMs >= 0 && waitedMs < options.recoveryTimeoutMs) {
      return [state, { kind: 'reject', retryAfterMs: options.recoveryTimeoutMs - waitedMs }];
    }
    return [{ status: 'halfOpen', openedAtMs: state.openedAtMs, probes: 1 }, { kind: 'probe' }];
  }
  if (state.probes < options.maxProbes) return [{ ...state, probes: state.probes + 1 }, { kind: 'probe' }];
  return [state, { kind: 'reject', retryAfterMs: probeWaitMs(options) }];
}

/** An operation finished well. */
export function succeeded(state: BreakerState): BreakerState {
  return state.status === 'closed' ? { status: 'closed', failures: Math.max(0, state.failures - 1) } : state;
}

/** An operation failed for good because of the destination. While open or half-open only probes decide. */
export function failed(state: BreakerState, nowMs: number, options: BreakerOptions): BreakerState {
  if (state.status !== 'closed') return state;
  const failures = state.failures + 1;
  return failures >= options.failureThreshold ? { status: 'open', openedAtMs: nowMs } : { status: 'closed', failures };
}

/** A probe came back. One success closes the circuit; one failure opens it again for the full recovery time. */
export function probeFinished(state: BreakerState, healthy: boolean, nowMs: number): BreakerState {
  if (state.status !== 'halfOpen') return state;
  return healthy ? closedBreaker : { status: 'open', openedAtMs: nowMs };
}

/** With all probe slots taken the answer is near: ask again soon rather than after the full recovery time. */
function probeWaitMs(options: BreakerOptions): number {
  return Math.max(1000, Math.round(options.recoveryTimeoutMs / 10));
}
