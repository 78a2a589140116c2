import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../../core/parse-json';
import { blaming, StorageError } from '../errors';
import { splitLines } from '../batch/lines';
import { fromJsonPath, isJsonPath, type PathBytes } from '../path-bytes';
import type { SnapshotEntry } from './entry';
import { orderKey } from './entry-order';
import { readRecord, snapshotEntries, type SnapshotRecord } from './snapshot-record';

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
  entries(): Generator<ReadEntry>;
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
  if (digestOf(path) !== record.metadataSha256) throw new StorageError('SnapshotDamaged', 'source', path, `${path} is damaged: it does not agree with its digest in ${snapshotEntries.record}`);
  return { repository, name, record, directory, entries: () => readEntries(path) };
}

function digestOf(path: string): string {
  return withFile(path, (descriptor) => {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(1024 * 1024);
    for (let count = fs.readSync(descriptor, buffer); count > 0; count = fs.readSync(descriptor, buffer)) hash.update(buffer.subarray(0, count));
    return hash.digest('hex');
  });
}

function withFile<T>(path: string, calls: (descriptor: number) => T): T {
  return blaming('source', path, () => {
    const descriptor = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
    try {
      return calls(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  });
}

/** Lines of a metadata file from one offset to before another. */
export interface MetadataRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Entries of a `metadata.ndjson` in their order, as a stream.
 * @throws StorageError `SnapshotDamaged` for a path that leads elsewhere, or lines that are out of order
 */
export function* readEntries(file: string, range: MetadataRange = { start: 0, end: Infinity }): Generator<ReadEntry> {
  const descriptor = blaming('source', file, () => fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK));
  let last = '';
  try {
    for (const { line, offset } of splitLines(descriptor, range.start)) {
      if (offset >= range.end) return;
      const read = readLine(line, offset, file);
      if (read.key <= last) throw new StorageError('SnapshotDamaged', 'source', file, `${file} is damaged: its lines are not in order`);
      last = read.key;
      yield read;
    }
  } finally {
    fs.closeSync(descriptor);
  }
}

function readLine(line: string, offset: number, file: string): ReadEntry {
  try {
    const entry = parseJson(line) as SnapshotEntry;
    const path = isJsonPath(entry.path) ? fromJsonPath(entry.path) : '';
    const key = orderKey(path);
    if (!path.includes('\0') && isInside(key)) return { path, key, offset, entry };
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
  }
  throw new StorageError('SnapshotDamaged', 'source', file, `${file} is damaged: its line at byte ${offset} is no entry of a snapshot`);
}

/** Absolute, and without parts that lead elsewhere. The key has NUL where the path has a slash, and a path has no NUL. */
function isInside(key: string): boolean {
  return key === '\0' || (key.startsWith('\0') && !key.includes('\0\0') && !key.endsWith('\0') && !key.includes('\0.\0') && !key.includes('\0..\0') && !key.endsWith('\0.') && !key.endsWith('\0..'));
}
