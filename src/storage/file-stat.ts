import * as fs from 'node:fs';
import type { PathBytes } from './path-bytes';

/** What identifies a file and its state; fits JSON, so times and identities are decimal strings. */
export interface FileStat {
  readonly device: string;
  readonly inode: string;
  readonly sizeBytes: number;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
  readonly mode: number;
  readonly userId: number;
  readonly groupId: number;
}

export function fileStat(stats: fs.BigIntStats): FileStat {
  return {
    device: String(stats.dev),
    inode: String(stats.ino),
    sizeBytes: Number(stats.size),
    mtimeNs: String(stats.mtimeNs),
    ctimeNs: String(stats.ctimeNs),
    mode: Number(stats.mode),
    userId: Number(stats.uid),
    groupId: Number(stats.gid),
  };
}

/** lstat that answers undefined for a missing entry; everything else is thrown. */
export function lstatIfPresent(path: PathBytes): fs.BigIntStats | undefined {
  return fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

/** What a copy of a file takes on a disk that can have holes: no more than the file itself does. */
export function spaceBytes({ size, blocks }: fs.BigIntStats): number {
  return Number(isSparse({ size, blocks }) ? blocks * BLOCK_BYTES : size);
}

/** It takes less than its size: it has holes, or its file system compresses. */
export function isSparse({ size, blocks }: Pick<fs.BigIntStats, 'size' | 'blocks'>): boolean {
  return blocks * BLOCK_BYTES < size;
}

/** What `st_blocks` counts, whatever the file system. */
const BLOCK_BYTES = 512n;

/** One inode? Only live inodes compare this way: device numbers may change over a reboot. */
export function isSameInode(a: fs.BigIntStats, b: fs.BigIntStats): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

/** Two looks at one open file: same content as far as metadata can tell. */
export function isSameState(before: fs.BigIntStats, now: fs.BigIntStats): boolean {
  return before.size === now.size && before.mtimeNs === now.mtimeNs && before.ctimeNs === now.ctimeNs && before.ino === now.ino;
}

/** Still the target that was there before? ctime is left out: keeping a link of it changes that. */
export function isWhatWasThere(before: FileStat, now: FileStat): boolean {
  return before.inode === now.inode && before.sizeBytes === now.sizeBytes && before.mtimeNs === now.mtimeNs;
}

/** In words, for messages. */
export function kindOf(stats: fs.BigIntStats): string {
  if (stats.isFile()) return 'a regular file';
  if (stats.isDirectory()) return 'a directory';
  if (stats.isSymbolicLink()) return 'a symbolic link';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  return stats.isBlockDevice() ? 'a block device' : 'a character device';
}
