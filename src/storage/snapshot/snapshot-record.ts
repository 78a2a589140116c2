import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { inGroups } from '../../core/snapshot-group';
import { isInFuture, parseSnapshotName } from '../../core/snapshot-name';
import { inDirectory } from '../directory';
import { blaming, isErrno, StorageError } from '../errors';
import { parseRecord, readOwnFile, type OwnRecord } from '../records/own-file';
import type { DamagedCopies } from './damaged-copies';
import type { PlanFailure } from './planned-snapshot';
import { FORMAT_VERSION } from './repository';
import { snapshotRecord, type SelfDigested } from './record-shape';

/** Names inside a published snapshot. Nothing else is in one. */
export const snapshotEntries = { data: 'data', checksums: 'SHA256SUMS', metadata: 'metadata.ndjson', record: 'snapshot.json' } as const;

/** What a snapshot came to. */
export interface SnapshotCounts {
  /** Regular files in the snapshot, further names of one file included. */
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  /** FIFOs, sockets and devices: recorded, without a copy. */
  readonly specials: number;
  /** Of the files: not known to the parent; known, and read again; hard links of the parent's copies. */
  readonly newFiles: number;
  readonly changedFiles: number;
  readonly unchangedFiles: number;
  /** Entries that could not be backed up. */
  readonly failed: number;
  /** Files that were gone when their turn came. */
  readonly vanished: number;
  /** Left out on request. */
  readonly excluded: number;
  /** Of all files; of those that were copied. */
  readonly sizeBytes: number;
  readonly copiedBytes: number;
}

/** `snapshot.json`. */
export interface SnapshotRecord {
  readonly formatVersion: number;
  readonly name: string;
  readonly id: string;
  readonly host: string;
  /** Absolute paths, in order. */
  readonly sources: readonly string[];
  readonly tags: readonly string[];
  readonly startedAt: string;
  readonly endedAt: string;
  /** `partial`: something failed. */
  readonly status: 'complete' | 'partial';
  /** Name of the snapshot that most of what was known was known from. */
  readonly parent: string | null;
  /** Sources of which nothing, or little of what was there, could be found: the snapshot is partial then. */
  readonly emptied?: readonly PlanFailure[];
  readonly counts: SnapshotCounts;
  /** Where copies were read back from; null without verification. */
  readonly verifiedFrom: 'device' | 'cache' | null;
  /** Paths that were left out by themselves, such as the repository inside a source. */
  readonly leftOut: readonly string[];
  /** What sources have that snapshots do not keep: `xattrs`, `holes`. */
  readonly notKept: readonly string[];
  /** Copies of the parent that were found damaged, and were made afresh here. */
  readonly damagedCopies?: DamagedCopies;
  readonly workflowId: string;
  readonly runId: string;
  readonly operationId: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly programVersion: string;
  /** Digest of `metadata.ndjson`. */
  readonly metadataSha256: string;
  /** Digest of `SHA256SUMS`; null where there is no file to check, and so no such list. */
  readonly checksumsSha256: string | null;
}

/**
 * The text of `snapshot.json`: the record with a digest of itself as its last field, so that a flipped byte in it shows
 * as in any other file.
 */
export function recordText(record: SnapshotRecord): string {
  const sha256 = createHash('sha256').update(JSON.stringify(record)).digest('hex');
  return `${JSON.stringify({ ...record, sha256 }, null, 2)}\n`;
}

/** A file that says what is in a snapshot is not as it was written. */
export function damagedRecord(path: string, why: string, cause?: unknown): StorageError {
  return new StorageError('SnapshotDamaged', 'source', path, `${path} is damaged: it ${why}`, {}, { cause });
}

const record: OwnRecord<SelfDigested> = {
  side: 'source',
  maxBytes: 16 * 1024 * 1024,
  shape: snapshotRecord,
  refuse: damagedRecord,
  format: { version: FORMAT_VERSION, refuse: (path, found) => new StorageError('RepositoryUnsupported', 'source', path, `Snapshot ${path} has format version ${found}; this program knows ${FORMAT_VERSION}`) },
};

/**
 * Reads the record of a published snapshot.
 * @throws StorageError `SnapshotNotFound`, `SnapshotDamaged` when it is ill-typed or does not agree with its own digest,
 *   `RepositoryUnsupported` for a later format, `SourceNotCanonical` for a link in place of the snapshot, errno names
 */
export function readRecord(repository: string, name: string): SnapshotRecord {
  const directory = join(repository, name);
  const path = join(directory, snapshotEntries.record);
  const data = ifPresent(() => inDirectory(repository, directory, 'source', (snapshot) => readOwnFile(snapshot.entry(snapshotEntries.record), record, path)));
  if (data === undefined) throw new StorageError('SnapshotNotFound', 'source', path, `There is no snapshot at ${path}`);
  const written = data.toString('utf8');
  const found: SnapshotRecord & { sha256?: string } = parseRecord(written, path, record);
  delete found.sha256;
  if (recordText(found) !== written || found.name !== name) throw damagedRecord(path, 'does not agree with its own digest');
  return found;
}

function ifPresent<T>(calls: () => T): T | undefined {
  try {
    return calls();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Names of all published snapshots, oldest first. */
export function snapshotNames(repository: string): string[] {
  const names = blaming('destination', repository, () => fs.readdirSync(repository).filter((name) => parseSnapshotName(name) !== undefined));
  return inOrder(names, (name) => recordTimeMs(repository, name));
}

/** Names count seconds, and ids are random: of several snapshots of one second the records tell the order. */
function inOrder(names: readonly string[], timeMsOf: (name: string) => number): string[] {
  const ofSeconds = inGroups([...names].sort(), secondOf);
  return [...ofSeconds.values()].flatMap((group) => {
    if (group.length === 1) return group;
    const times = new Map(group.map((name) => [name, timeMsOf(name)]));
    return group.sort((a, b) => (times.get(a) ?? 0) - (times.get(b) ?? 0));
  });
}

function secondOf(name: string): string {
  return name.slice(0, name.lastIndexOf('-'));
}

/** Of a damaged record the second alone is known. */
function recordTimeMs(repository: string, name: string): number {
  try {
    return startedAtMs(readRecord(repository, name));
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return parseSnapshotName(name)?.startedAt.getTime() ?? 0;
  }
}

/** When a snapshot began: by its name, which is what lists are in order of, and within that second by its record. */
export function startedAtMs({ name, startedAt }: Pick<SnapshotRecord, 'name' | 'startedAt'>): number {
  const ofNameMs = parseSnapshotName(name)?.startedAt.getTime() ?? 0;
  const ofRecordMs = Date.parse(startedAt);
  return Math.floor(ofRecordMs / 1000) * 1000 === ofNameMs ? ofRecordMs : ofNameMs;
}

/** Those that are dated in the future, which only a clock that was wrong can do. */
export function futureNames(names: readonly string[], nowMs: number): string[] {
  return names.filter((name) => isInFuture(parseSnapshotName(name)?.startedAt.getTime() ?? 0, nowMs));
}

/** Those of the future before all others: they come last where the newest is asked for. */
export function futureFirst(names: readonly string[], nowMs: number): string[] {
  const future = new Set(futureNames(names, nowMs));
  return [...future, ...names.filter((name) => !future.has(name))];
}

/** A snapshot of a list, with its record or with what is wrong with that. */
export interface ListedSnapshot {
  readonly name: string;
  readonly record: SnapshotRecord | undefined;
  readonly problem: string | undefined;
}

/** All published snapshots, oldest first; damaged ones among them. */
export function listSnapshots(repository: string): ListedSnapshot[] {
  return snapshotNames(repository).map((name) => {
    try {
      return { name, record: readRecord(repository, name), problem: undefined };
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      return { name, record: undefined, problem: error.message };
    }
  });
}

/**
 * The snapshot that a person means: `latest`, a name, or the beginning of an id or of a name. What is dated in the future
 * is the latest only where nothing else is.
 * @throws StorageError `SnapshotNotFound`, also when several are meant
 */
export function findSnapshot(repository: string, wanted: string): string {
  const names = snapshotNames(repository);
  const matches = wanted === 'latest' ? futureFirst(names, Date.now()).slice(-1) : names.filter((name) => name === wanted || name.startsWith(wanted) || parseSnapshotName(name)?.id.startsWith(wanted) === true);
  const [found] = matches;
  if (found !== undefined && matches.length === 1) return found;
  const why = matches.length > 1 ? `"${wanted}" means ${matches.length} of them: ${matches.slice(0, 5).join(', ')}` : names.length === 0 ? 'it holds none' : `none is called "${wanted}"`;
  throw new StorageError('SnapshotNotFound', 'source', repository, `No such snapshot in ${repository}: ${why}`);
}
