import * as fs from 'node:fs';
import type { TransferControl } from './control';
import { isErrno, StorageError } from './errors';
import { joinPath, pathOf, pathText, type PathBytes } from './path-bytes';
import { hasDescriptorPaths, openToName } from './way';

/** What deleting came to. */
export interface RemovedTree {
  /** Names of files, links, directories and special files that are gone. */
  readonly entries: number;
  /** Bytes of files of which the last name is gone; what other snapshots share is not among them. */
  readonly freedBytes: number;
}

/**
 * Deletes an entry of a directory and whatever is below it; the only way in which this program deletes a directory with
 * what is in it. Links are deleted and never followed: on Linux each directory is opened without following one and its
 * entries are named through the descriptor, so that nobody can redirect it by swapping a directory for a link; elsewhere
 * each entry is looked at first. What is mounted below stays. Directories that may not be written to are made writable for
 * it. What has gone meanwhile is no error: two may be deleting.
 * @param directory a path by way of a descriptor
 * @param control reports each entry, and stops it; without one it goes on to the end
 * @throws StorageError `DestinationConflict` for a mount point, `Cancelled`, errno names
 */
export function removeTree(directory: PathBytes, name: PathBytes, control?: TransferControl): RemovedTree {
  if (['', '.', '..'].includes(pathText(name)) || pathText(name).includes('/')) throw new StorageError('InvalidInput', 'destination', pathText(name), `${JSON.stringify(pathText(name))} is no name of an entry`);
  const removal = new Removal(fs.statSync(directory).dev, control);
  removal.entry(directory, name);
  return removal.total;
}

class Removal {
  readonly total = { entries: 0, freedBytes: 0 };

  constructor(
    private readonly device: number,
    private readonly control: TransferControl | undefined,
  ) {}

  entry(directory: PathBytes, name: PathBytes): void {
    const path = joinPath(directory, name);
    const stats = withRights(directory, () => fs.lstatSync(path, { throwIfNoEntry: false }));
    if (stats === undefined) return;
    const isDirectory = stats.isDirectory();
    if (isDirectory) this.empty(path);
    if (!withRights(directory, () => isRemoved(path, isDirectory))) return;
    this.total.entries += 1;
    if (stats.isFile() && stats.nlink === 1) this.total.freedBytes += stats.size;
    this.control?.finishFile();
  }

  private empty(path: PathBytes): void {
    this.control?.throwIfCancelled();
    const descriptor = openToName(path);
    try {
      // Of the directory that was opened, whatever was looked at before.
      if (fs.fstatSync(descriptor).dev !== this.device) throw mounted(descriptor, path);
      const directory = hasDescriptorPaths ? `/proc/self/fd/${descriptor}` : path;
      for (const name of withRights(directory, () => fs.readdirSync(directory, { encoding: 'buffer' }))) this.entry(directory, pathOf(name));
    } finally {
      fs.closeSync(descriptor);
    }
  }
}

function mounted(descriptor: number, path: PathBytes): StorageError {
  const text = hasDescriptorPaths ? fs.readlinkSync(`/proc/self/fd/${descriptor}`) : pathText(path);
  return new StorageError('DestinationConflict', 'destination', text, `${text} is on another file system than what is to be removed, and is left alone`);
}

/**
 * Deletes a directory of files, likewise, without looking at each of them.
 * @param directory a path by way of a descriptor
 */
export function removeFlat(directory: string, name: string): void {
  const path = `${directory}/${name}`;
  try {
    const descriptor = openToName(path);
    try {
      const inside = hasDescriptorPaths ? `/proc/self/fd/${descriptor}` : path;
      for (const file of fs.readdirSync(inside)) isRemoved(`${inside}/${file}`, false);
    } finally {
      fs.closeSync(descriptor);
    }
    fs.rmdirSync(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
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
