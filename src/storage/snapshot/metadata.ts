import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { inDirectory } from '../directory';
import { blaming } from '../errors';
import { openOwnFile, ownLines, type OwnRecord } from '../records/own-file';
import { fromJsonPath, type PathBytes } from '../path-bytes';
import type { SnapshotEntry } from './entry';
import { orderKey } from './entry-order';
import { snapshotEntry } from './entry-shape';
import { damagedRecord, readRecord, snapshotEntries, type SnapshotRecord } from './snapshot-record';
import { SoundOrder } from './sound-order';

/** An entry of a published snapshot with its path as bytes. */
export interface ReadEntry {
  readonly path: PathBytes;
  /** What it is sorted by. */
  readonly key: string;
  /** Where its line begins. */
  readonly offset: number;
  readonly entry: SnapshotEntry;
}

/** An open snapshot: its record, and a way to go through its entries. */
export interface OpenSnapshot {
  readonly repository: string;
  readonly name: string;
  readonly record: SnapshotRecord;
  /** Absolute path of the snapshot's directory. */
  readonly directory: string;
  entries(): Generator<ReadEntry, undefined>;
}

/**
 * Opens a snapshot for reading. Its metadata is compared with the digest in its record first, so that what comes out is
 * what was written; all the same nothing in it is trusted to stay within the snapshot.
 * @throws StorageError `SnapshotNotFound`, `SnapshotDamaged`, errno names
 */
export function openSnapshot(repository: string, name: string): OpenSnapshot {
  const record = readRecord(repository, name);
  const directory = join(repository, name);
  const path = join(directory, snapshotEntries.metadata);
  if (digestOf(path) !== record.metadataSha256) throw damagedRecord(path, `does not agree with its digest in ${snapshotEntries.record}`);
  return { repository, name, record, directory, entries: () => readEntries(path) };
}

function digestOf(path: string): string {
  const descriptor = openMetadata(path);
  try {
    return blaming('source', path, () => {
      const hash = createHash('sha256');
      const buffer = Buffer.allocUnsafe(1024 * 1024);
      for (let count = fs.readSync(descriptor, buffer); count > 0; count = fs.readSync(descriptor, buffer)) hash.update(buffer.subarray(0, count));
      return hash.digest('hex');
    });
  } finally {
    fs.closeSync(descriptor);
  }
}

/** A billion entries have less. */
const MAX_METADATA_BYTES = 2 ** 40;

const metadata: OwnRecord<SnapshotEntry> = { side: 'source', maxBytes: MAX_METADATA_BYTES, shape: snapshotEntry, refuse: damagedRecord };

/** Not through a link, of itself or of the snapshot's directory: a repository is not to be trusted. */
function openMetadata(path: string): number {
  const directory = dirname(path);
  return inDirectory(dirname(directory), directory, 'source', (snapshot) => openOwnFile(snapshot.entry(basename(path)), metadata, path).descriptor);
}

/** Lines of a metadata file from one offset to before another. */
export interface MetadataRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Entries of a `metadata.ndjson` in their order, as a stream.
 * @throws StorageError `SnapshotDamaged` for a line that is none, a path that leads elsewhere, and entries out of order or
 *   below what is no directory
 */
export function* readEntries(file: string, range: MetadataRange = { start: 0, end: Infinity }): Generator<ReadEntry, undefined> {
  const descriptor = openMetadata(file);
  const order = new SoundOrder();
  try {
    for (const { value: entry, offset } of ownLines(descriptor, file, metadata, range.start)) {
      if (offset >= range.end) return;
      const path = fromJsonPath(entry.path);
      const key = orderKey(path);
      if (!order.accepts(key, entry.type === 'directory' || entry.state === 'failed')) throw damagedRecord(file, `has entries out of order in the line at byte ${offset}`);
      yield { path, key, offset, entry };
    }
  } finally {
    fs.closeSync(descriptor);
  }
}
