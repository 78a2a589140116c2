/** How far something is, for people who read lines. */
export interface LineView {
  /** A word for what is being done: the first time it is news at once. */
  readonly state: string;
  /** 0 to 1, of this state. */
  readonly fraction: number;
  readonly text: string;
  /** Why it does not go on right now, in words, or null. */
  readonly waitingFor: string | null;
}

/** At most so often, but for what is news; when there is nothing to say, at least so often. */
const AT_MOST_EVERY_MS = 10_000;
const AT_LEAST_EVERY_MS = 60_000;
const EVERY_FRACTION = 0.1;

/** Reasons that are remembered as told. */
const MAX_REASONS = 1000;

/** Progress where there is no terminal: a line now and then. What is tried again each second is told once, and not each second. */
export class ProgressLines {
  private readonly states = new Set<string>();
  private readonly reasons = new Set<string>();
  private last: { readonly state: string; readonly fraction: number; readonly isWaiting: boolean; readonly atMs: number } | undefined;

  /** The line that is due, if one is. */
  next({ state, fraction, text, waitingFor }: LineView, atMs: number): string | undefined {
    const isNewReason = waitingFor !== null && !this.reasons.has(waitingFor);
    const isWaiting = waitingFor !== null;
    if (!this.isDue(state, fraction, isWaiting, isNewReason, atMs)) return undefined;
    this.states.add(state);
    if (isNewReason && this.reasons.size < MAX_REASONS) this.reasons.add(waitingFor);
    this.last = { state, fraction, isWaiting, atMs };
    if (!isWaiting) return text;
    return isNewReason ? `${text}: ${waitingFor}` : `${text}, still waiting`;
  }

  private isDue(state: string, fraction: number, isWaiting: boolean, isNewReason: boolean, atMs: number): boolean {
    const { last } = this;
    if (last === undefined || !this.states.has(state) || (isNewReason && this.reasons.size === 0)) return true;
    const silentMs = atMs - last.atMs;
    if (silentMs < AT_MOST_EVERY_MS) return false;
    const isOther = state !== last.state || isWaiting !== last.isWaiting || isNewReason;
    return isOther || fraction >= last.fraction + EVERY_FRACTION || silentMs >= AT_LEAST_EVERY_MS;
  }
}
