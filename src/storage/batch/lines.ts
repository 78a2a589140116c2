import * as fs from 'node:fs';

const CHUNK_BYTES = 1024 * 1024;

/** Lines of an open file with their offsets, as a stream. A last line without its line break was never finished and is left out. */
export function* splitLines(descriptor: number): Generator<{ readonly offset: number; readonly line: string }> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let rest = Buffer.alloc(0);
  let offset = 0;
  for (let position = 0; ; ) {
    const count = fs.readSync(descriptor, buffer, 0, buffer.length, position);
    if (count === 0) return;
    position += count;
    const data = rest.length === 0 ? buffer.subarray(0, count) : Buffer.concat([rest, buffer.subarray(0, count)]);
    let start = 0;
    for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a, start)) {
      yield { offset, line: data.toString('utf8', start, end) };
      offset += end + 1 - start;
      start = end + 1;
    }
    rest = Buffer.from(data.subarray(start));
  }
}
