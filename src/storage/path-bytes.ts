/**
 * A path as the file system knows it: bytes. Almost every path is UTF-8 and stays a string; the others are kept as
 * buffers, since a string would lose them. Node's file calls take both.
 */
export type PathBytes = string | Buffer;

const SLASH = 0x2f;

/** The shortest faithful form of raw bytes. */
export function pathOf(bytes: Buffer): PathBytes {
  const text = bytes.toString('utf8');
  // Invalid sequences decode to U+FFFD, which encodes back to other bytes.
  return text.includes('\ufffd') && !Buffer.from(text, 'utf8').equals(bytes) ? Buffer.from(bytes) : text;
}

/** Directory and name, split at the last slash. */
export function splitPath(path: PathBytes): { readonly directory: PathBytes; readonly name: PathBytes } {
  if (typeof path === 'string') {
    const at = path.lastIndexOf('/');
    return { directory: at === 0 ? '/' : path.slice(0, at), name: path.slice(at + 1) };
  }
  const at = path.lastIndexOf(SLASH);
  return { directory: at === 0 ? '/' : pathOf(path.subarray(0, at)), name: pathOf(path.subarray(at + 1)) };
}

export function joinPath(directory: PathBytes, name: PathBytes): PathBytes {
  if (typeof directory === 'string' && typeof name === 'string') return directory === '/' ? `/${name}` : `${directory}/${name}`;
  return Buffer.concat([Buffer.from(directory), Buffer.from('/'), Buffer.from(name)]);
}

export function appendToPath(path: PathBytes, suffix: string): PathBytes {
  return typeof path === 'string' ? `${path}${suffix}` : Buffer.concat([path, Buffer.from(suffix)]);
}

/** How a path is written into JSON files: text, or base64 under a name that no text can have. */
export type JsonPath = string | { readonly base64: string };

export function toJsonPath(path: PathBytes): JsonPath {
  return typeof path === 'string' ? path : { base64: path.toString('base64') };
}

/** Of what was read from a file that is not to be trusted. */
export function isJsonPath(value: unknown): value is JsonPath {
  return typeof value === 'string' || (typeof value === 'object' && value !== null && typeof (value as { base64?: unknown }).base64 === 'string');
}

export function fromJsonPath(path: JsonPath): PathBytes {
  return typeof path === 'string' ? path : Buffer.from(path.base64, 'base64');
}

/**
 * One character a byte, for looking at slashes and prefixes of any path: a root and a path below it must both be looked
 * at this way, since a root may be text of several bytes a character.
 */
export function bytewise(path: PathBytes): string {
  return Buffer.from(path).toString('latin1');
}

/** For messages: bytes that are no UTF-8 as `\xNN`. */
export function pathText(path: PathBytes): string {
  if (typeof path === 'string') return path;
  return [...path].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`)).join('');
}
