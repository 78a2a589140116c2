/** Names of snapshots: when each began, in UTC and fit for a file name, and an id. In order of time when sorted. */
export interface SnapshotName {
  readonly name: string;
  readonly id: string;
  readonly startedAt: Date;
}

const NAME = /^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})Z-([0-9a-f]{8})$/;

/** @param seed at least eight hexadecimal digits, such as a UUID; the first eight are the id */
export function snapshotName(startedAtMs: number, seed: string): string {
  const time = new Date(startedAtMs).toISOString().slice(0, 19).replaceAll(':', '-');
  return `${time}Z-${seed.slice(0, 8).toLowerCase()}`;
}

/** Clocks of different hosts differ: the snapshot that another one has just taken is none of the future. */
const CLOCK_DIFFERENCE_MS = 60_000;

/**
 * True for what only a clock that was wrong can have dated: such snapshots are neither the latest nor a parent while there
 * are others, and count for no rule of retention.
 */
export function isInFuture(startedAtMs: number, nowMs: number): boolean {
  return startedAtMs > nowMs + CLOCK_DIFFERENCE_MS;
}

/** Undefined for names that no snapshot has. */
export function parseSnapshotName(name: string): SnapshotName | undefined {
  const [, date, hours, minutes, seconds, id] = NAME.exec(name) ?? [];
  if (date === undefined || id === undefined) return undefined;
  const startedAt = new Date(`${date}T${hours}:${minutes}:${seconds}Z`);
  return Number.isNaN(startedAt.getTime()) ? undefined : { name, id, startedAt };
}
