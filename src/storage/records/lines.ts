import * as fs from 'node:fs';
import type { StorageError } from '../errors';

const CHUNK_BYTES = 1024 * 1024;

/** Longer than any line of ours: a few paths of which every byte may be written out, a message, and numbers. */
export const MAX_LINE_BYTES = 256 * 1024;

/**
 * Lines of an open file with their offsets, as a stream. A last line without its line break was never finished and is left out.
 * @param refuse answers what to throw for a line that is too long
 * @param start where the first line begins
 */
export function* splitLines(descriptor: number, refuse: (why: string) => StorageError, start = 0): Generator<{ readonly offset: number; readonly line: string }> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let rest = Buffer.alloc(0);
  let offset = start;
  for (let position = start; ; ) {
    const count = fs.readSync(descriptor, buffer, 0, buffer.length, position);
    if (count === 0) return;
    position += count;
    const data = rest.length === 0 ? buffer.subarray(0, count) : Buffer.concat([rest, buffer.subarray(0, count)]);
    let from = 0;
    for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a, from)) {
      if (end - from > MAX_LINE_BYTES) throw refuse(`has a line of more than ${MAX_LINE_BYTES} bytes at byte ${offset}`);
      yield { offset, line: data.toString('utf8', from, end) };
      offset += end + 1 - from;
      from = end + 1;
    }
    rest = Buffer.from(data.subarray(from));
    if (rest.length > MAX_LINE_BYTES) throw refuse(`has a line of more than ${MAX_LINE_BYTES} bytes at byte ${offset}`);
  }
}
