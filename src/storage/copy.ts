import { createHash, hash as hashAtOnce, type Hash } from 'node:crypto';
import * as fs from 'node:fs';
import type { TransferControl } from './control';
import { blaming, StorageError } from './errors';
import { fileStat, isSameState, isSparse, type FileStat } from './file-stat';
import { nextData, nextHole, setTimes } from './posix';
import type { OpenSource } from './source';

const CHUNK_BYTES = 1024 * 1024;

/** Setuid, setgid and sticky bits are not carried over: a backup must not become a way to gain rights. */
const PERMISSION_BITS = 0o777;

export type OnSourceChanged = 'fail' | 'accept';

export interface CopyOptions {
  readonly sourcePath: string;
  readonly targetPath: string;
  readonly onSourceChanged: OnSourceChanged;
  readonly control: TransferControl;
  /** False when the caller makes many copies durable at once. */
  readonly sync: boolean;
}

export interface Copied {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** The source as it was when reading began. */
  readonly source: FileStat;
  /** True when it changed meanwhile and that was accepted. */
  readonly changed: boolean;
  /** False when the owner could not be set; mode and times always are. */
  readonly ownerKept: boolean;
}

/** A copy with its file as it is now, but for what owner and mode still changed. */
export interface CopiedInto {
  readonly copied: Copied;
  readonly target: fs.BigIntStats;
}

/**
 * Copies an open source into an open, empty target: bytes with their SHA-256, holes as holes, then owner, mode and times, then a sync.
 * The source is looked at before and after, so a copy of a moving target is never taken for good.
 * @throws StorageError `SourceChanged`, `Cancelled`, errno names
 */
export function copyInto(target: number, source: OpenSource, options: CopyOptions): CopiedInto {
  const { sha256, sizeBytes, changed } = copyContent(target, source, options);
  const { ownerKept, stats } = blaming('destination', options.targetPath, () => copyMetadata(target, source.stats));
  if (options.sync) syncCopy(target, options);
  return { copied: { sha256, sizeBytes, source: fileStat(source.stats), changed, ownerKept }, target: stats };
}

/** The first half of `copyInto`, for callers that copy the metadata themselves. */
export function copyContent(target: number, source: OpenSource, options: CopyOptions): Pick<Copied, 'sha256' | 'sizeBytes' | 'changed'> {
  const { descriptor, stats } = source;
  const expectedBytes = Number(stats.size);
  const limitBytes = options.onSourceChanged === 'accept' && expectedBytes > 0 ? expectedBytes : Infinity;
  const { sha256, sizeBytes } = copyBytes(source, target, limitBytes, options);
  options.control.enter('idle');
  return { sha256, sizeBytes, changed: judgeChange(descriptor, stats, sizeBytes, options) };
}

/** Makes a copy durable. A sync may be silent for long, and that is no stall. */
export function syncCopy(target: number, { control, targetPath }: Pick<CopyOptions, 'control' | 'targetPath'>): void {
  control.enter('sync');
  blaming('destination', targetPath, () => fs.fsyncSync(target));
  control.enter('idle');
}

/** One per thread: threads run one step at a time. */
let buffer: Buffer | undefined;

function copyBytes({ descriptor, stats }: OpenSource, target: number, limitBytes: number, options: CopyOptions): { sha256: string; sizeBytes: number } {
  const { control, sourcePath, targetPath, onSourceChanged } = options;
  const expectedBytes = Number(stats.size);
  const holes = isSparse(stats) ? new Holes(descriptor, expectedBytes) : undefined;
  const bytes = (buffer ??= Buffer.allocUnsafeSlow(CHUNK_BYTES));
  let hash: Hash | undefined;
  let sizeBytes = 0;
  control.enter('transfer');
  while (sizeBytes < limitBytes) {
    control.throwIfCancelled();
    const holeBytes = holes?.bytesAt(sizeBytes) ?? 0;
    const isHole = holeBytes > 0;
    const wanted = Math.min(bytes.length, limitBytes - sizeBytes, isHole ? holeBytes : (holes?.dataBytesAt(sizeBytes) ?? Infinity));
    if (isHole) bytes.fill(0, 0, wanted);
    const count = isHole ? wanted : blaming('source', sourcePath, () => fs.readSync(descriptor, bytes, 0, wanted, sizeBytes));
    if (count === 0) break;
    if (!isHole) blaming('destination', targetPath, () => writeFully(target, bytes, count, sizeBytes));
    sizeBytes += count;
    control.moved(count);
    // All that was there at first, and the read came back short: whether there is more by now, the second look says.
    const isLast = count < wanted && sizeBytes === expectedBytes;
    // Most files are read at once, and need no hash object then.
    if (isLast && hash === undefined) return { sha256: hashAtOnce('sha256', bytes.subarray(0, count), 'hex'), sizeBytes };
    hash = (hash ?? createHash('sha256')).update(bytes.subarray(0, count));
    if (isLast) break;
    // A file that grows as fast as it is read would never end. Files of size 0 may still hold data (/proc).
    if (onSourceChanged === 'fail' && expectedBytes > 0 && sizeBytes > expectedBytes) throw sourceChanged(sourcePath, 'it grew');
  }
  // A hole at the end is nothing that was written.
  if (holes !== undefined) blaming('destination', targetPath, () => fs.ftruncateSync(target, sizeBytes));
  return { sha256: (hash ?? createHash('sha256')).digest('hex'), sizeBytes };
}

/** The holes of an open file, which are read as zeros: digested as such, and not written. */
class Holes {
  private data = { start: 0, end: 0 };

  constructor(
    private readonly descriptor: number,
    private readonly sizeBytes: number,
  ) {}

  /** How far the hole at an offset goes on; 0 where data is. Beyond the size nothing is a hole: there the file may grow. */
  bytesAt(offset: number): number {
    if (offset >= this.sizeBytes) return 0;
    if (offset >= this.data.end) {
      const start = Math.min(this.sizeBytes, nextData(this.descriptor, offset));
      this.data = { start, end: Math.max(start, nextHole(this.descriptor, start)) };
    }
    return Math.max(0, this.data.start - offset);
  }

  /** How far the data at an offset goes on. */
  dataBytesAt(offset: number): number {
    return offset < this.sizeBytes && this.data.end > offset ? this.data.end - offset : Infinity;
  }
}

function writeFully(target: number, buffer: Buffer, count: number, position: number): void {
  for (let written = 0; written < count; ) {
    written += fs.writeSync(target, buffer, written, count - written, position + written);
  }
}

function judgeChange(descriptor: number, before: fs.BigIntStats, copiedBytes: number, { sourcePath, onSourceChanged }: CopyOptions): boolean {
  const now = blaming('source', sourcePath, () => fs.fstatSync(descriptor, { bigint: true }));
  const expectedBytes = Number(before.size);
  const complete = expectedBytes === 0 || copiedBytes === expectedBytes;
  if (isSameState(before, now) && complete) return false;
  const grew = now.size >= before.size && complete;
  if (onSourceChanged === 'accept' && grew) return true;
  throw sourceChanged(sourcePath, `size ${before.size} became ${now.size}, ${copiedBytes} bytes were read`);
}

function sourceChanged(path: string, how: string): StorageError {
  return new StorageError('SourceChanged', 'source', path, `Source ${path} changed while it was read: ${how}`);
}

/**
 * Mode, times and, where it is not right from the start, the owner, which is best effort: only root may give files away.
 * Answers the file as it is then, but for what giving it away changed.
 */
export function copyMetadata(target: number, source: fs.BigIntStats): { readonly ownerKept: boolean; readonly stats: fs.BigIntStats } {
  const mode = Number(source.mode) & PERMISSION_BITS;
  fs.fchmodSync(target, mode);
  setTimes(target, source.mtimeNs);
  const stats = fs.fstatSync(target, { bigint: true });
  if (stats.uid === source.uid && stats.gid === source.gid) return { ownerKept: true, stats };
  const ownerKept = copyOwner(target, source);
  // Changing the owner may have cleared mode bits.
  fs.fchmodSync(target, mode);
  return { ownerKept, stats };
}

function copyOwner(target: number, source: fs.BigIntStats): boolean {
  try {
    fs.fchownSync(target, Number(source.uid), Number(source.gid));
    return true;
  } catch {
    // Not root, or a file system without owners: recorded in the result as a warning, and no reason to lose the backup.
    return false;
  }
}
