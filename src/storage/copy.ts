import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import type { TransferControl } from './control';
import { blaming, StorageError } from './errors';
import { fileStat, isUnchanged, timeInSeconds, type FileStat } from './file-stat';
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

/**
 * Copies an open source into an open, empty target: bytes with their SHA-256, then owner, mode and times, then a sync.
 * The source is looked at before and after, so a copy of a moving target is never taken for good.
 * @throws StorageError `SourceChanged`, `Cancelled`, errno names
 */
export function copyInto(target: number, { descriptor, stat }: OpenSource, options: CopyOptions): Copied {
  const { targetPath, control } = options;
  const limitBytes = options.onSourceChanged === 'accept' && stat.sizeBytes > 0 ? stat.sizeBytes : Infinity;
  const { sha256, sizeBytes } = copyBytes(descriptor, target, stat, limitBytes, options);
  const changed = judgeChange(descriptor, stat, sizeBytes, options);
  const ownerKept = blaming('destination', targetPath, () => copyMetadata(target, stat));
  if (options.sync) {
    control.enter('sync');
    blaming('destination', targetPath, () => fs.fsyncSync(target));
  }
  control.enter('idle');
  return { sha256, sizeBytes, source: stat, changed, ownerKept };
}

/** One per thread: threads run one step at a time. */
let buffer: Buffer | undefined;

function copyBytes(source: number, target: number, stat: FileStat, limitBytes: number, options: CopyOptions): { sha256: string; sizeBytes: number } {
  const { control, sourcePath, targetPath, onSourceChanged } = options;
  const hash = createHash('sha256');
  const bytes = (buffer ??= Buffer.allocUnsafeSlow(CHUNK_BYTES));
  let sizeBytes = 0;
  control.enter('transfer');
  while (sizeBytes < limitBytes) {
    control.throwIfCancelled();
    const wanted = Math.min(bytes.length, limitBytes - sizeBytes);
    const count = blaming('source', sourcePath, () => fs.readSync(source, bytes, 0, wanted, sizeBytes));
    if (count === 0) break;
    hash.update(bytes.subarray(0, count));
    blaming('destination', targetPath, () => writeFully(target, bytes, count));
    sizeBytes += count;
    control.moved(count);
    // All that was there at first, and the read came back short: whether there is more by now, the second look says.
    if (count < wanted && sizeBytes === stat.sizeBytes) break;
    // A file that grows as fast as it is read would never end. Files of size 0 may still hold data (/proc).
    if (onSourceChanged === 'fail' && stat.sizeBytes > 0 && sizeBytes > stat.sizeBytes) throw sourceChanged(sourcePath, 'it grew');
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

function writeFully(target: number, buffer: Buffer, count: number): void {
  for (let written = 0; written < count; ) {
    written += fs.writeSync(target, buffer, written, count - written);
  }
}

function judgeChange(descriptor: number, before: FileStat, copiedBytes: number, { sourcePath, onSourceChanged }: CopyOptions): boolean {
  const now = blaming('source', sourcePath, () => fileStat(fs.fstatSync(descriptor, { bigint: true })));
  const complete = before.sizeBytes === 0 || copiedBytes === before.sizeBytes;
  if (isUnchanged(before, now) && complete) return false;
  const grew = now.sizeBytes >= before.sizeBytes && complete;
  if (onSourceChanged === 'accept' && grew) return true;
  throw sourceChanged(sourcePath, `size ${before.sizeBytes} became ${now.sizeBytes}, ${copiedBytes} bytes were read`);
}

function sourceChanged(path: string, how: string): StorageError {
  return new StorageError('SourceChanged', 'source', path, `Source ${path} changed while it was read: ${how}`);
}

/** Owner first, since changing it may clear mode bits. Owner is best effort: only root may give files away. */
function copyMetadata(target: number, stat: FileStat): boolean {
  const ownerKept = copyOwner(target, stat);
  fs.fchmodSync(target, stat.mode & PERMISSION_BITS);
  const mtimeSeconds = timeInSeconds(BigInt(stat.mtimeNs));
  fs.futimesSync(target, mtimeSeconds, mtimeSeconds);
  return ownerKept;
}

function copyOwner(target: number, stat: FileStat): boolean {
  const now = fs.fstatSync(target);
  if (now.uid === stat.userId && now.gid === stat.groupId) return true;
  try {
    fs.fchownSync(target, stat.userId, stat.groupId);
    return true;
  } catch {
    // Not root, or a file system without owners: recorded in the result as a warning, and no reason to lose the backup.
    return false;
  }
}
