import * as fs from 'node:fs';

const CHUNK_BYTES = 1024 * 1024;

/**
 * Lines of an open file with their offsets, as a stream. A last line without its line break was never finished and is left out.
 * @param start where the first line begins
 */
export function* splitLines(descriptor: number, start = 0): Generator<{ readonly offset: number; readonly line: string }> {
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
      yield { offset, line: data.toString('utf8', from, end) };
      offset += end + 1 - from;
      from = end + 1;
    }
    rest = Buffer.from(data.subarray(from));
  }
}
