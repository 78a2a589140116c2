import * as fs from 'node:fs';
import { parseJson } from '../../core/parse-json';
import { blaming, isErrno, type Side, type StorageError } from '../errors';
import { kindOf } from '../file-stat';
import { splitLines } from './lines';
import type { Shape } from './shape';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

/** A kind of file that this program writes and reads again, later and perhaps out of somebody else's hands. */
export interface OwnFile {
  readonly side: Side;
  readonly maxBytes: number;
  /** The finding for one that is not as we wrote it. `why` completes "it …" and holds nothing of the content. */
  readonly refuse: (path: string, why: string, cause?: unknown) => StorageError;
}

/** One that holds values as JSON. */
export interface OwnRecord<T> extends OwnFile {
  readonly shape: Shape<T>;
  /** Of a record that says which format it has: the one that there is, and the finding for any other. */
  readonly format?: { readonly version: number; readonly refuse: (path: string, found: number) => StorageError };
}

/** An open file of ours: a regular one, of no more than its kind may have. */
export interface OpenOwnFile {
  readonly descriptor: number;
  readonly sizeBytes: number;
}

/**
 * Opens a file of ours for reading, hands it over and closes it. Follows no link and waits for nobody: a FIFO, a device or a
 * directory in its place is a finding, as is one that is too large.
 * @param name what it is called in messages, where the path leads through an open directory
 * @throws what the kind refuses with; StorageError errno names, `ENOENT` among them
 */
export function withOwnFile<T>(path: string, kind: OwnFile, calls: (file: OpenOwnFile) => T, name = path): T {
  const file = openOwnFile(path, kind, name);
  try {
    return calls(file);
  } finally {
    fs.closeSync(file.descriptor);
  }
}

/** As `withOwnFile`, for whoever closes it. */
export function openOwnFile(path: string, { side, maxBytes, refuse }: OwnFile, name = path): OpenOwnFile {
  const descriptor = blaming(side, name, () => open(path, (why, cause) => refuse(name, why, cause)));
  try {
    const stats = blaming(side, name, () => fs.fstatSync(descriptor, { bigint: true }));
    if (!stats.isFile()) throw refuse(name, `is ${kindOf(stats)}`);
    if (stats.size > BigInt(maxBytes)) throw refuse(name, `has ${stats.size} bytes, ${maxBytes} at most are expected`);
    return { descriptor, sizeBytes: Number(stats.size) };
  } catch (error) {
    fs.closeSync(descriptor);
    throw error;
  }
}

function open(path: string, refuse: (why: string, cause: unknown) => StorageError): number {
  try {
    return fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ELOOP')) throw refuse('is a symbolic link', error);
    // A socket cannot even be opened.
    if (isErrno(error, 'ENXIO', 'ENODEV')) throw refuse('is no regular file', error);
    throw error;
  }
}

/** All of a file of ours; undefined when there is none. @throws as `withOwnFile` */
export function readOwnFile(path: string, kind: OwnFile, name = path): Buffer | undefined {
  try {
    return withOwnFile(path, kind, ({ descriptor, sizeBytes }) => (sizeBytes === 0 ? Buffer.alloc(0) : blaming(kind.side, name, () => fs.readFileSync(descriptor))), name);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** So many bytes from an offset on, or fewer where the file ends before. */
export function readRange(descriptor: number, offset: number, length: number): Buffer {
  const data = Buffer.allocUnsafe(length);
  for (let count = 0; count < length; ) {
    const more = fs.readSync(descriptor, data, count, length - count, offset + count);
    if (more === 0) return data.subarray(0, count);
    count += more;
  }
  return data;
}

/** The value in a file of ours; undefined when there is no such file. @throws as `withOwnFile`, also for what is no such value */
export function readOwnRecord<T>(path: string, record: OwnRecord<T>): T | undefined {
  const data = readOwnFile(path, record);
  return data && parseRecord(data.toString('utf8'), path, record);
}

/** The value that stands in the text of a file of ours. @throws as `readOwnRecord` */
export function parseRecord<T>(json: string, path: string, { shape, format, refuse }: OwnRecord<T>): T {
  const value: unknown = parseOwn(json, (parsed) => (isOtherVersion(parsed, format?.version) ? undefined : shape(parsed)), (why) => refuse(path, why));
  if (format !== undefined && isOtherVersion(value, format.version)) throw format.refuse(path, value.formatVersion);
  return value as T;
}

function isOtherVersion(value: unknown, version: number | undefined): value is { readonly formatVersion: number } {
  const { formatVersion } = (value ?? {}) as { readonly formatVersion?: unknown };
  return version !== undefined && Number.isSafeInteger(formatVersion) && formatVersion !== version;
}

/** A value as JSON that is not to be trusted. @throws what `refuse` answers */
export function parseOwn<T>(json: string, shape: Shape<T>, refuse: (why: string, cause?: unknown) => StorageError): T {
  let value: unknown;
  try {
    value = parseJson(json);
  } catch (error) {
    throw refuse('is no JSON', error);
  }
  const wrong = shape(value);
  if (wrong === undefined) return value as T;
  throw refuse(wrong === '' ? 'is not built as it should be' : `has a wrong ${wrong}`);
}

/** A value in a file of ours that has one in each line. */
export interface OwnLine<T> {
  readonly value: T;
  /** Where its line begins. */
  readonly offset: number;
}

/**
 * The values of an open file of ours that has one a line, as a stream.
 * @param path what it is called in messages
 * @throws as `readOwnRecord`, naming the place of the line
 */
export function* ownLines<T>(descriptor: number, path: string, { shape, refuse }: OwnRecord<T>, start = 0): Generator<OwnLine<T>, undefined> {
  for (const { line, offset } of splitLines(descriptor, (why) => refuse(path, why), start)) {
    yield { value: parseOwn(line, shape, (why) => refuse(path, `${why} in the line at byte ${offset}`)), offset };
  }
}
