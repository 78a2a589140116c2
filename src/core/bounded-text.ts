/**
 * Text that takes at most so many bytes as JSON: what is too long loses its middle, since of a path both ends tell most.
 * Payloads carry paths and messages of files that nobody here has named.
 */
export function boundedText(text: string, maxBytes: number): string {
  if (text.length * 6 <= maxBytes) return text;
  const characters = [...text];
  const sizes = characters.map(jsonBytes);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total <= maxBytes) return text;
  const half = Math.floor((maxBytes - jsonBytes('…')) / 2);
  const head = fitting(sizes, half);
  const tail = fitting([...sizes].reverse(), half);
  return `${characters.slice(0, head).join('')}…${characters.slice(characters.length - tail).join('')}`;
}

/** How many of the sizes fit, from the first on. */
function fitting(sizes: readonly number[], maxBytes: number): number {
  let used = 0;
  const end = sizes.findIndex((size) => (used += size) > maxBytes);
  return end < 0 ? sizes.length : end;
}

/** Size of one character as JSON in UTF-8. */
function jsonBytes(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20 || (code >= 0xd800 && code <= 0xdfff)) return 6;
  if (character === '"' || character === '\\') return 2;
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code < 0x10000 ? 3 : 4;
}
