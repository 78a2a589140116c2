import * as fs from 'node:fs';
import { blaming, StorageError } from '../errors';
import { pathOf, type PathBytes } from '../path-bytes';

const CHUNK_BYTES = 256 * 1024;
const MAX_PATH_BYTES = 4095;

export type Separator = 'newline' | 'nul';

const separatorBytes: Record<Separator, number> = { newline: 0x0a, nul: 0 };

/** A path of a list and where it stands there, in bytes. */
export interface ListEntry {
  readonly offset: number;
  readonly path: PathBytes;
}

/**
 * Reads a list of paths as a stream, whatever its length: one a line, or separated by NUL for names that hold line
 * breaks. Empty lines are skipped. Paths are bytes.
 * @throws StorageError `InvalidInput` for a path that is too long or not absolute, naming its number; errno names
 */
export function* readList(path: string, separator: Separator): Generator<ListEntry> {
  const descriptor = blaming('source', path, () => fs.openSync(path, 'r'));
  try {
    let number = 0;
    let offset = 0;
    for (const bytes of splitFile(descriptor, separatorBytes[separator])) {
      number += 1;
      if (bytes.length > 0) yield { offset, path: checked(bytes, number, path) };
      offset += bytes.length + 1;
    }
  } finally {
    fs.closeSync(descriptor);
  }
}

/** The entry that stands at an offset of a list that was read before. @throws StorageError `InvalidInput` when it is gone */
export function readEntryAt(path: string, separator: Separator, offset: number): PathBytes {
  const descriptor = blaming('source', path, () => fs.openSync(path, 'r'));
  try {
    const buffer = Buffer.allocUnsafe(MAX_PATH_BYTES + 1);
    const data = buffer.subarray(0, fs.readSync(descriptor, buffer, 0, buffer.length, offset));
    const end = data.indexOf(separatorBytes[separator]);
    const bytes = end < 0 ? data : data.subarray(0, end);
    if (bytes[0] !== 0x2f) throw new StorageError('InvalidInput', 'source', path, `The list ${path} changed while it was read`);
    return pathOf(bytes);
  } finally {
    fs.closeSync(descriptor);
  }
}

function* splitFile(descriptor: number, separator: number): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let rest = Buffer.alloc(0);
  for (;;) {
    const count = fs.readSync(descriptor, buffer, 0, buffer.length, null);
    if (count === 0) break;
    const data = rest.length === 0 ? Buffer.from(buffer.subarray(0, count)) : Buffer.concat([rest, buffer.subarray(0, count)]);
    let start = 0;
    for (let at = data.indexOf(separator, start); at >= 0; at = data.indexOf(separator, start)) {
      yield data.subarray(start, at);
      start = at + 1;
    }
    rest = data.subarray(start);
    // Not a list at all, such as a binary file: do not take all of it into memory.
    if (rest.length > 16 * MAX_PATH_BYTES) yield rest;
  }
  if (rest.length > 0) yield rest;
}

function checked(bytes: Buffer, number: number, list: string): PathBytes {
  if (bytes.length > MAX_PATH_BYTES) throw new StorageError('InvalidInput', 'source', list, `Entry ${number} of ${list} has ${bytes.length} bytes; paths have at most ${MAX_PATH_BYTES}`);
  const path = pathOf(bytes);
  if (bytes[0] !== 0x2f) throw new StorageError('InvalidInput', 'source', list, `Entry ${number} of ${list} (${bytes.length} bytes) does not begin with a slash: it is no absolute path`);
  return path;
}
