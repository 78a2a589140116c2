/** Longer than any path: a list that goes on so long without a separator is none. */
const MAX_ENTRY_BYTES = 64 * 1024;

/** Splits a stream at a byte. What follows the last separator is an entry too, unless it is empty. */
export async function* splitEntries(stream: AsyncIterable<Buffer>, separator: number): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const chunk of stream) {
    const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = data.indexOf(separator); end >= 0; end = data.indexOf(separator, start)) {
      yield data.subarray(start, end);
      start = end + 1;
    }
    rest = Buffer.from(data.subarray(start));
    if (rest.length > MAX_ENTRY_BYTES) yield rest;
  }
  if (rest.length > 0) yield rest;
}
