import { isBelow } from '../../core/roots';
import { snapshotGroup, type SnapshotOrigin } from '../../core/snapshot-group';
import { StorageError } from '../errors';
import { futureNames, readRecord, snapshotNames, type SnapshotRecord } from './snapshot-record';

/** The newest snapshot that holds a source, and so many before it for what the newest has nothing of. */
const MOST_PARENTS = 3;

/** Where no snapshot holds all of a source: those of what lies below it. */
const MOST_PARTS = 8;

/** Where none of the older ones is complete, the newest of so many have to do. */
const MOST_LOOKED_AT = 30;

/** Of this host, in which files are looked for that have moved: the newest of each set of sources. */
const MOST_RECENT = 3;

/** Names of snapshots that may know files. */
export interface FoundParents {
  /** In the order of the sources. */
  readonly ofSources: readonly (readonly string[])[];
  /** For what has moved. */
  readonly recent: readonly string[];
}

/**
 * For each source the snapshots that may know its files, the one to ask first in front: those that hold it or a directory
 * above it, whatever else they hold, so that adding, removing or renaming one source leaves the others known. Another
 * host's are asked only for a source of which this host has none, as after it was renamed, and those that are dated in
 * the future only where there are no others. What cannot be read is passed over.
 */
export function findParents(repository: string, { host, sources }: SnapshotOrigin): FoundParents {
  const newestFirst = snapshotNames(repository).reverse();
  const future = new Set(futureNames(newestFirst, Date.now()));
  const records = new Map<string, SnapshotRecord | undefined>();
  const recordOf = (name: string): SnapshotRecord | undefined => {
    if (!records.has(name)) records.set(name, readableRecord(repository, name));
    return records.get(name);
  };
  const choices = sources.map((source) => new Choice(source));
  for (const isFuture of [false, true]) {
    for (const isOwn of [true, false]) {
      const open = choices.filter((choice) => choice.names.length === 0);
      for (const name of newestFirst) {
        if (open.every((choice) => choice.isFull)) break;
        const record = future.has(name) === isFuture ? recordOf(name) : undefined;
        if (record !== undefined && (record.host === host) === isOwn) open.forEach((choice) => choice.offer(record));
      }
    }
  }
  const recent = new Map<string, string>();
  for (const name of newestFirst.slice(0, MOST_LOOKED_AT)) {
    const record = future.has(name) || recent.size === MOST_RECENT ? undefined : recordOf(name);
    if (record?.host === host && !recent.has(snapshotGroup(record))) recent.set(snapshotGroup(record), name);
  }
  return { ofSources: choices.map(({ names }) => names), recent: [...recent.values()] };
}

/** Which snapshots a source's files are looked for in. */
class Choice {
  private readonly complete: string[] = [];
  private readonly partial: string[] = [];
  private newest: string | undefined;
  /** Of sources below this one, each in its newest snapshot. */
  private readonly parts = new Map<string, string>();

  constructor(private readonly source: string) {}

  get isFull(): boolean {
    return this.complete.length >= MOST_PARENTS - 1 || this.complete.length + this.partial.length >= MOST_LOOKED_AT;
  }

  /** In the order to ask them in. A complete one has what a partial one may have failed at. */
  get names(): readonly string[] {
    if (this.newest === undefined) return [...new Set(this.parts.values())].slice(0, MOST_PARTS);
    return [this.newest, ...[...this.complete, ...this.partial].slice(0, MOST_PARENTS - 1)];
  }

  /** Newest first. */
  offer({ name, sources, status }: SnapshotRecord): void {
    if (sources.some((source) => isBelow(source, this.source))) {
      if (this.newest === undefined) this.newest = name;
      else (status === 'complete' ? this.complete : this.partial).push(name);
      return;
    }
    for (const part of sources) if (isBelow(this.source, part) && !this.parts.has(part)) this.parts.set(part, name);
  }
}

function readableRecord(repository: string, name: string): SnapshotRecord | undefined {
  try {
    return readRecord(repository, name);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return undefined;
  }
}
