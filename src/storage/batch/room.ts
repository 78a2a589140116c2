import * as fs from 'node:fs';
import { blaming, StorageError } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { joinPath } from '../path-bytes';
import { objectOf, wholeNumber, type Shape } from '../records/shape';
import { spaceText } from '../space-left';
import { readChunk } from './plan';
import type { RunLocation } from './run-directory';
import { inRun } from './run-mark';

/** What copies take at least. Holes do not count, nor what is linked or there already. */
export interface Needed {
  readonly bytes: number;
  readonly files: number;
}

/** On the file system of a directory. */
export interface Need extends Needed {
  readonly directory: string;
}

/** What a run needs at least, and what there is for it: of the file system that lacks most. Null where that does not say. */
export interface Room {
  readonly neededBytes: number;
  readonly neededFiles: number;
  readonly freeBytes: number | null;
  readonly freeFiles: number | null;
}

export const needed: Shape<Needed> = objectOf<Needed>({ bytes: wholeNumber(), files: wholeNumber() });

const BLOCK_BYTES = 512;

/** Those that may store more than they say they have, by compression or on another host: btrfs, zfs, bcachefs, f2fs, ntfs, FUSE, NFS, SMB, 9p, ceph. */
const elastic = [0x9123683e, 0x2fc12fc1, 0xca451a4e, 0xf2f52010, 0x5346544e, 0x7366746e, 0x65735546, 0x6969, 0xff534d42, 0xfe534d42, 0x517b, 0x01021997, 0x00c36400];

/** What a copy of a file takes at least. */
export function copiedBytes({ size, blocks }: { readonly size: number | bigint; readonly blocks: number | bigint }): number {
  return Math.min(Number(size), Number(blocks) * BLOCK_BYTES);
}

/**
 * Compares what a run needs with what is free, before its first copy.
 * @param saved looks closer where the first estimate does not fit: what is less to be written
 * @throws StorageError `ENOSPC` when it is plainly impossible
 */
export function requireRoom(needs: readonly Need[], saved: () => Needed = () => ({ bytes: 0, files: 0 })): Room {
  const looked = needs.map(lookAt);
  let less: Needed | undefined;
  for (const { need, free, isElastic } of looked) {
    if (isElastic || isEnough(need, free)) continue;
    less ??= saved();
    const rest = { bytes: Math.max(0, need.bytes - less.bytes), files: Math.max(0, need.files - less.files) };
    if (isEnough(rest, free)) continue;
    throw new StorageError('ENOSPC', 'destination', need.directory, `${need.directory} has ${spaceText(free)} free, and ${spaceText(rest)} are needed; nothing was copied`, { expected: String(rest.bytes), found: String(free.bytes) });
  }
  const [scarcest] = [...looked].sort((a, b) => a.free.bytes - a.need.bytes - (b.free.bytes - b.need.bytes));
  const free = scarcest?.free ?? { bytes: Infinity, files: Infinity };
  return { neededBytes: scarcest?.need.bytes ?? 0, neededFiles: scarcest?.need.files ?? 0, freeBytes: finite(free.bytes), freeFiles: finite(free.files) };
}

/** Root may write to what is kept for it. */
function lookAt(need: Need): { readonly need: Need; readonly free: Needed; readonly isElastic: boolean } {
  const { type, bsize, blocks, bfree, bavail, files, ffree } = blaming('destination', need.directory, () => fs.statfsSync(need.directory));
  const bytes = blocks === 0 ? Infinity : (process.geteuid?.() === 0 ? bfree : bavail) * bsize;
  return { need, free: { bytes, files: files === 0 ? Infinity : ffree }, isElastic: elastic.includes(type) };
}

function isEnough({ bytes, files }: Needed, free: Needed): boolean {
  return bytes <= free.bytes && files <= free.files;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** Of a batch: targets that are replaced give back what they take. */
export function requireBatchRoom(location: RunLocation, chunks: number, ofCopies: Needed): Room {
  return requireRoom([{ directory: location.destination, ...ofCopies }], () => inRun(location, (opened) => replacedIn(opened, chunks)));
}

function replacedIn(location: RunLocation, chunks: number): Needed {
  const sum = { bytes: 0, files: 0 };
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    for (const { target } of readChunk(location, chunk).entries) add(sum, joinPath(location.destination, target));
  }
  return sum;
}

function add(sum: { bytes: number; files: number }, path: Parameters<typeof lstatIfPresent>[0]): void {
  const stats = lstatIfPresent(path);
  if (stats?.isFile() !== true || stats.nlink > 1n) return;
  sum.bytes += Number(stats.blocks) * BLOCK_BYTES;
  sum.files += 1;
}
