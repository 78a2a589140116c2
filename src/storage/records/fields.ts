import type { EntryFailure } from '../batch/chunk';
import { bytewise, fromJsonPath, pathOf, type JsonPath } from '../path-bytes';
import { arrayOf, objectOf, oneOf, text, type Shape } from './shape';

/** Longest path that Linux takes (PATH_MAX less its closing NUL), in bytes. */
const MAX_PATH_BYTES = 4095;

/** Of a name with its slash. */
const MAX_NAME_BYTES = 256;

/** Longest text for people in a file of ours: it may hold two paths of which every byte is written out. */
const MAX_TEXT_LENGTH = 64 * 1024;

export const sha256 = text(64, /^[0-9a-f]{64}$/);
/** Whatever a file system can hold: 64 bits of seconds, and nine digits of nanoseconds. */
export const nanoseconds = text(29, /^-?\d{1,28}$/);
export const inode = text(20, /^\d{1,20}$/);
export const someText = text(MAX_TEXT_LENGTH);
export const side = oneOf('source', 'destination');
export const readFrom = oneOf('device', 'cache');

/** Ids of workflows, runs, namespaces and clusters, which have a thousand characters at most. */
export const identifier = text(1000);

export const failure: Shape<EntryFailure> = objectOf<EntryFailure>({ code: text(64, /^\w+$/), side, message: someText });

/** What a few of are named, of all that there are. */
export const sampleOf = <T>(shape: Shape<T>): Shape<readonly T[]> => arrayOf(shape, 1000);

/** Of an entry: absolute, or the root directory. No part of it leads elsewhere. */
export const absolute: Shape<JsonPath> = jsonPath((path) => path === '/' || (path.startsWith('/') && isBelow(path.slice(1))));

/** Of an entry that could not be backed up, perhaps because its name was one too many. */
export const absoluteTooLong: Shape<JsonPath> = jsonPath((path) => path === '/' || (path.startsWith('/') && isBelow(path.slice(1))), MAX_PATH_BYTES + MAX_NAME_BYTES);

/** Of an entry that cannot be the root directory. */
export const absoluteBelowRoot: Shape<JsonPath> = jsonPath((path) => path.startsWith('/') && isBelow(path.slice(1)));

/** Of a target below its destination. */
export const relative: Shape<JsonPath> = jsonPath(isBelow);

/** What a symbolic link may hold: anything but nothing. */
export const linkTarget: Shape<JsonPath> = jsonPath((path) => path !== '');

/** An absolute path that is text. */
export const absoluteText: Shape<string> = (value) => (typeof value === 'string' ? absolute(value) : '');

const NAMES_THAT_LEAD_ELSEWHERE = /(?:^|\/)\.{1,2}(?:\/|$)/;

/** Whether a path leads somewhere below where it is put. Written for speed: every file of a run comes by. */
function isBelow(path: string): boolean {
  if (path === '' || path.startsWith('/') || path.endsWith('/') || path.includes('//')) return false;
  return (!path.startsWith('.') && !path.includes('/.')) || !NAMES_THAT_LEAD_ELSEWHERE.test(path);
}

/** @param fits of the path as text, or as one character a byte */
function jsonPath(fits: (path: string) => boolean, maxBytes = MAX_PATH_BYTES): Shape<JsonPath> {
  return (value) => ((typeof value === 'string' ? isText(value, maxBytes) && fits(value) : isBase64(value, maxBytes) && fits(bytewise(fromJsonPath(value)))) ? undefined : '');
}

function isText(path: string, maxBytes: number): boolean {
  return !path.includes('\0') && path.isWellFormed() && (path.length * 3 <= maxBytes || Buffer.byteLength(path) <= maxBytes);
}

const base64 = objectOf<{ readonly base64: string }>({ base64: text(4 * MAX_PATH_BYTES, /^[\w+/]+={0,2}$/) });

/** Bytes that are no text, written as we write them: one path has one form only. */
function isBase64(value: unknown, maxBytes: number): value is { readonly base64: string } {
  if (base64(value) !== undefined) return false;
  const written = value as { readonly base64: string };
  const bytes = Buffer.from(written.base64, 'base64');
  return bytes.length <= maxBytes && !bytes.includes(0) && typeof pathOf(bytes) !== 'string' && bytes.toString('base64') === written.base64;
}
