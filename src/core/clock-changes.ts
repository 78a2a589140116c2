/** When the clocks of a time zone are put forward or back. */
export interface ClockChange {
  readonly atMs: number;
  /** What the clock is ahead of UTC. */
  readonly offsetBeforeMs: number;
  readonly offsetAfterMs: number;
}

const DAY_MS = 86_400_000;

/** Whether there is a time zone of that name, as `Europe/Berlin`. */
export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) instanceof Intl.DateTimeFormat;
  } catch {
    return false;
  }
}

/** All changes of a time zone's clocks from one time to another, as far as is known today. */
export function clockChanges(timeZone: string, fromMs: number, toMs: number): ClockChange[] {
  const offset = offsetIn(timeZone);
  const changes: ClockChange[] = [];
  let before = offset(fromMs);
  // Two changes in one day are not heard of.
  for (let startMs = fromMs; startMs < toMs; startMs += DAY_MS) {
    const after = offset(startMs + DAY_MS);
    if (after !== before) changes.push({ atMs: changeBetween(offset, startMs, startMs + DAY_MS), offsetBeforeMs: before, offsetAfterMs: after });
    before = after;
  }
  return changes;
}

/** The first second of the new time. */
function changeBetween(offset: (timeMs: number) => number, fromMs: number, toMs: number): number {
  let [low, high] = [Math.floor(fromMs / 1000), Math.ceil(toMs / 1000)];
  const before = offset(fromMs);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offset(middle * 1000) === before) low = middle;
    else high = middle;
  }
  return high * 1000;
}

/** What the clocks of a zone are ahead of UTC at a time. */
function offsetIn(timeZone: string): (timeMs: number) => number {
  const format = new Intl.DateTimeFormat('en', { timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' });
  return (timeMs) => {
    const parts = Object.fromEntries(format.formatToParts(timeMs).map(({ type, value }) => [type, Number(value)]));
    const wallMs = Date.UTC(parts.year ?? 0, (parts.month ?? 1) - 1, parts.day, parts.hour, parts.minute, parts.second);
    return wallMs - Math.floor(timeMs / 1000) * 1000;
  };
}
