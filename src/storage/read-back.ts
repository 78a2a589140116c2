import { createHash, hash as hashAtOnce, type Hash } from 'node:crypto';
import * as fs from 'node:fs';
import type { TransferControl } from './control';
import { isErrno } from './errors';
import type { PathBytes } from './path-bytes';

const { O_RDONLY, O_NOFOLLOW, O_DIRECT, O_NONBLOCK } = fs.constants;
const CHUNK_BYTES = 1024 * 1024;
/** At least a block of any device. */
const READ_UNIT_BYTES = 16 * 1024;
const WEBASSEMBLY_PAGE_BYTES = 64 * 1024;

/** Part of every Node, but typed only in the library for browsers. */
declare const WebAssembly: { readonly Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer } };

/** File systems that live in memory: there is no device to read from, although newer kernels accept O_DIRECT there. */
const memoryFileSystems = [0x01021994, 0x858458f6];

/** `device` went past the page cache, so it saw what the disk returns; `cache` may have seen memory only. */
export type ReadFrom = 'device' | 'cache';

export interface ReadBack {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly from: ReadFrom;
}

/**
 * Reads a whole file and digests it, from the device when that is asked for and the file system allows it.
 * O_DIRECT wants page-aligned memory, which a WebAssembly.Memory is and a Buffer is not.
 */
export function readBack(path: PathBytes, prefer: ReadFrom, control: TransferControl): ReadBack {
  return readBackFrom(path, whereToRead(path, prefer), control);
}

/** Where files of a file system can be read from at best; the same for all files of a directory. */
export function whereToRead(path: PathBytes, prefer: ReadFrom): ReadFrom {
  return prefer === 'device' && O_DIRECT !== undefined && !memoryFileSystems.includes(fs.statfsSync(path).type) ? 'device' : 'cache';
}

/**
 * As `readBack`, for callers that have asked `whereToRead` already.
 * @param expectedBytes how long the file should be, where that is known: less is read then beyond its end
 */
export function readBackFrom(path: PathBytes, where: ReadFrom, control: TransferControl, expectedBytes = Infinity): ReadBack {
  const [descriptor, from] = openFor(path, where);
  try {
    return digest(descriptor, from, control, expectedBytes);
  } catch (error) {
    // Some file systems accept O_DIRECT when opening and refuse it when reading.
    if (from === 'device' && isErrno(error, 'EINVAL')) return readBackFrom(path, 'cache', control, expectedBytes);
    throw error;
  } finally {
    fs.closeSync(descriptor);
  }
}

function openFor(path: PathBytes, where: ReadFrom): [number, ReadFrom] {
  const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  if (where === 'device') {
    try {
      return [fs.openSync(path, flags | O_DIRECT), 'device'];
    } catch (error) {
      if (!isErrno(error, 'EINVAL', 'EOPNOTSUPP', 'ENOTSUP')) throw error;
    }
  }
  return [fs.openSync(path, flags), 'cache'];
}

/** Digests an open file from its start; `device` is for descriptors opened with O_DIRECT. */
export function digest(descriptor: number, from: ReadFrom, control: TransferControl, expectedBytes = Infinity): ReadBack {
  const buffer = from === 'device' ? alignedBuffer() : plainBuffer();
  let hash: Hash | undefined;
  let sizeBytes = 0;
  control.enter('transfer');
  for (;;) {
    control.throwIfCancelled();
    const wanted = wantedBytes(buffer, expectedBytes - sizeBytes);
    const count = fs.readSync(descriptor, buffer, 0, wanted, sizeBytes);
    const data = buffer.subarray(0, count);
    sizeBytes += count;
    control.moved(count);
    // A read that comes back short has seen the end. Where that is not where it should be, it is looked for once more.
    const isLast = count === 0 || (count < wanted && sizeBytes === expectedBytes);
    if (isLast && hash === undefined) return { sha256: hashAtOnce('sha256', data, 'hex'), sizeBytes, from };
    hash = (hash ?? createHash('sha256')).update(data);
    if (isLast) return { sha256: hash.digest('hex'), sizeBytes, from };
  }
}

/**
 * More than the rest, so that a file which is too long shows, but not much: Linux fills the buffer with zeros from the
 * end of the file on, which takes longer for a megabyte than reading a small file. In whole blocks, as O_DIRECT wants it.
 */
function wantedBytes(buffer: Uint8Array, restBytes: number): number {
  if (restBytes < 0) return buffer.length;
  return Math.min(buffer.length, (Math.floor(restBytes / READ_UNIT_BYTES) + 1) * READ_UNIT_BYTES);
}

let aligned: Uint8Array | undefined;
let plain: Uint8Array | undefined;

/** One of each per thread: threads run one step at a time, and a WebAssembly.Memory is not freed promptly. */
function alignedBuffer(): Uint8Array {
  aligned ??= new Uint8Array(new WebAssembly.Memory({ initial: CHUNK_BYTES / WEBASSEMBLY_PAGE_BYTES }).buffer);
  return aligned;
}

function plainBuffer(): Uint8Array {
  plain ??= Buffer.allocUnsafeSlow(CHUNK_BYTES);
  return plain;
}
