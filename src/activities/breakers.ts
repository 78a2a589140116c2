import { admit, closedBreaker, failed, probeFinished, succeeded, type Admission, type BreakerOptions, type BreakerState } from '../core/breaker';

export type BreakerListener = (destination: string, state: BreakerState) => void;

/** One circuit breaker per destination root, in this worker's memory: other workers have breakers of their own. */
export class DestinationBreakers {
  private readonly states = new Map<string, BreakerState>();

  constructor(
    private readonly options: BreakerOptions,
    private readonly onChange: BreakerListener,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  admit(destination: string): Admission {
    const [state, admission] = admit(this.stateOf(destination), this.nowMs(), this.options);
    this.set(destination, state);
    return admission;
  }

  succeeded(destination: string): void {
    this.set(destination, succeeded(this.stateOf(destination)));
  }

  failed(destination: string): void {
    this.set(destination, failed(this.stateOf(destination), this.nowMs(), this.options));
  }

  probeFinished(destination: string, healthy: boolean): void {
    this.set(destination, probeFinished(this.stateOf(destination), healthy, this.nowMs()));
  }

  /** How long a caller that was turned away should wait, when the state says no more than that. */
  get recoveryTimeoutMs(): number {
    return this.options.recoveryTimeoutMs;
  }

  stateOf(destination: string): BreakerState {
    return this.states.get(destination) ?? closedBreaker;
  }

  private set(destination: string, state: BreakerState): void {
    const before = this.stateOf(destination);
    this.states.set(destination, state);
    if (before.status !== state.status) this.onChange(destination, state);
  }
}
