import * as fs from 'node:fs';
import type { TransferControl } from '../control';
import { isErrno } from '../errors';
import { joinPath, pathOf, type PathBytes } from '../path-bytes';

/** What deleting came to. */
export interface RemovedTree {
  /** Names of files, links, directories and special files that are gone. */
  readonly entries: number;
  /** Bytes of files of which the last name is gone; what other snapshots share is not among them. */
  readonly freedBytes: number;
}

const { O_DIRECTORY, O_NOFOLLOW } = fs.constants;

/** Linux: opens a directory for naming entries below it, which needs no permission on it. Node does not export it. */
const O_PATH = 0o10000000;

const hasDescriptorPaths = process.platform === 'linux';

/**
 * Deletes an entry of a directory and whatever is below it. Links are deleted and never followed: on Linux each directory
 * is opened without following one and its entries are named through the descriptor, so that nobody can redirect it by
 * swapping a directory for a link; elsewhere each entry is looked at first. Directories that may not be written to are
 * made writable for it. What has gone meanwhile is no error: two may be deleting.
 */
export function removeTree(directory: PathBytes, name: PathBytes, control: TransferControl): RemovedTree {
  const total = { entries: 0, freedBytes: 0 };
  removeEntry(directory, name, total, control);
  return total;
}

interface Total {
  entries: number;
  freedBytes: number;
}

function removeEntry(directory: PathBytes, name: PathBytes, total: Total, control: TransferControl): void {
  const path = joinPath(directory, name);
  const stats = withRights(directory, () => fs.lstatSync(path, { throwIfNoEntry: false }));
  if (stats === undefined) return;
  const isDirectory = stats.isDirectory();
  if (isDirectory) inside(path, (below) => emptyDirectory(below, total, control));
  if (!withRights(directory, () => isRemoved(path, isDirectory))) return;
  total.entries += 1;
  if (stats.isFile() && stats.nlink === 1) total.freedBytes += stats.size;
  control.finishFile();
}

/** False when another one did it before. */
function isRemoved(path: PathBytes, isDirectory: boolean): boolean {
  try {
    if (isDirectory) fs.rmdirSync(path);
    else fs.unlinkSync(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

function emptyDirectory(directory: PathBytes, total: Total, control: TransferControl): void {
  control.throwIfCancelled();
  const names = withRights(directory, () => fs.readdirSync(directory, { encoding: 'buffer' }));
  for (const name of names) removeEntry(directory, pathOf(name), total, control);
}

/** Hands over a name for the directory that stays its name whatever its path names by now. */
function inside(path: PathBytes, calls: (directory: PathBytes) => void): void {
  if (!hasDescriptorPaths) return calls(path);
  const descriptor = fs.openSync(path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  try {
    calls(`/proc/self/fd/${descriptor}`);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Directories keep the modes of their sources, and those may lock out whoever is not root. */
function withRights<T>(directory: PathBytes, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!isErrno(error, 'EACCES')) throw error;
    fs.chmodSync(directory, 0o700);
    return call();
  }
}
