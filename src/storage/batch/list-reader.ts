import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { StorageError } from '../errors';
import { pathOf, toJsonPath, type PathBytes } from '../path-bytes';
import { absoluteBelowRoot } from '../records/fields';
import { readRange } from '../records/own-file';
import { withSource } from '../source';

const CHUNK_BYTES = 256 * 1024;
const MAX_PATH_BYTES = 4095;

/** Some forty million paths. */
const MAX_LIST_BYTES = 4 * 1024 ** 3;

export type Separator = 'newline' | 'nul';

const separatorBytes: Record<Separator, number> = { newline: 0x0a, nul: 0 };

/** A list of paths in a file: one a line, or separated by NUL for names that hold line breaks. */
export interface ListFile {
  /** Allowed root that holds it. */
  readonly root: string;
  readonly path: string;
  readonly separator: Separator;
  /** Of the file's bytes. */
  readonly sha256: string;
}

/** A path of a list and where it stands there, in bytes. */
export interface ListEntry {
  readonly offset: number;
  readonly path: PathBytes;
}

/**
 * Opens a list and hands it over. It is a regular file below its root, without links, and the very list that was asked for:
 * nothing of another file is answered, nor quoted in what is thrown.
 * @throws StorageError `InvalidInput` for a list of another digest or one that is too large, `SourceNotRegularFile`,
 *   `SourceNotCanonical`, errno names
 */
export function withList<T>(file: ListFile, calls: (list: OpenList) => T): T {
  const { root, path } = file;
  return withSource(root, path, ({ descriptor, stats }) => {
    if (stats.size > BigInt(MAX_LIST_BYTES)) throw new StorageError('InvalidInput', 'source', path, `The list ${path} has ${stats.size} bytes; lists have at most ${MAX_LIST_BYTES}`);
    const list = new OpenList(file, descriptor);
    list.requireDigest();
    return calls(list);
  });
}

/** A list while it is read. */
export class OpenList {
  private readonly separator: number;

  constructor(
    private readonly file: ListFile,
    private readonly descriptor: number,
  ) {
    this.separator = separatorBytes[file.separator];
  }

  /** @throws StorageError `InvalidInput` */
  requireDigest(): void {
    const hash = createHash('sha256');
    for (const data of this.pieces()) hash.update(data);
    this.compare(hash.digest('hex'));
  }

  /**
   * The entries as a stream, whatever the length. Empty ones are skipped. Paths are bytes.
   * @throws StorageError `InvalidInput` for an entry that is no absolute path, naming its number, and for a list that is
   *   another one than before
   */
  *entries(): Generator<ListEntry, undefined> {
    const hash = createHash('sha256');
    let number = 0;
    let offset = 0;
    for (const bytes of this.split((data) => hash.update(data))) {
      number += 1;
      if (bytes.length > 0) yield { offset, path: this.checked(bytes, number) };
      offset += bytes.length + 1;
    }
    this.compare(hash.digest('hex'));
  }

  /** The entry at an offset that `entries` has answered. @throws StorageError `InvalidInput` when it is gone */
  at(offset: number): PathBytes {
    const data = readRange(this.descriptor, offset, MAX_PATH_BYTES + 1);
    const end = data.indexOf(this.separator);
    const bytes = end < 0 ? data : data.subarray(0, end);
    if (bytes[0] !== 0x2f) throw this.changed();
    return pathOf(Buffer.from(bytes));
  }

  private compare(sha256: string): void {
    if (sha256 !== this.file.sha256) throw this.changed();
  }

  private changed(): StorageError {
    const { path } = this.file;
    return new StorageError('InvalidInput', 'source', path, `The list ${path} is not the one that was asked for: its SHA-256 is another one, or it changed while it was read`);
  }

  private *pieces(): Generator<Buffer, undefined> {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let position = 0; ; ) {
      const count = fs.readSync(this.descriptor, buffer, 0, buffer.length, position);
      if (count === 0 || position > MAX_LIST_BYTES) return;
      position += count;
      yield buffer.subarray(0, count);
    }
  }

  private *split(seen: (data: Buffer) => void): Generator<Buffer, undefined> {
    let rest = Buffer.alloc(0);
    for (const piece of this.pieces()) {
      seen(piece);
      const data = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece]);
      let start = 0;
      for (let at = data.indexOf(this.separator, start); at >= 0; at = data.indexOf(this.separator, start)) {
        yield data.subarray(start, at);
        start = at + 1;
      }
      rest = data.subarray(start);
      // Not a list at all, such as a binary file: do not take all of it into memory.
      if (rest.length > 16 * MAX_PATH_BYTES) yield rest;
    }
    if (rest.length > 0) yield rest;
  }

  private checked(bytes: Buffer, number: number): PathBytes {
    const { path: list } = this.file;
    const refuse = (why: string): StorageError => new StorageError('InvalidInput', 'source', list, `Entry ${number} of ${list} ${why}`);
    if (bytes.length > MAX_PATH_BYTES) throw refuse(`has ${bytes.length} bytes; paths have at most ${MAX_PATH_BYTES}`);
    const path = pathOf(bytes);
    if (absoluteBelowRoot(toJsonPath(path)) !== undefined) throw refuse('is not an absolute path without "//", "/./", "/../", NUL and a slash at its end');
    return path;
  }
}
