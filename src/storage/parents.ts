import * as fs from 'node:fs';
import { blaming, isErrno, StorageError } from './errors';
import { lstatIfPresent } from './file-stat';
import { inParent } from './directory';
import { pathText, splitPath, type PathBytes } from './path-bytes';

/** The directories between `root` and the target that do not exist, nearest to the root first. */
export function missingParents<Path extends PathBytes>(root: string, targetPath: Path): Path[] {
  const missing: PathBytes[] = [];
  for (let path = splitPath(targetPath).directory; path !== root; path = splitPath(path).directory) {
    if (isPresent(path)) break;
    missing.unshift(path);
  }
  // Parents of a text are text.
  return missing as Path[];
}

function isPresent(path: PathBytes): boolean {
  const text = pathText(path);
  return blaming('destination', text, () => {
    try {
      return lstatIfPresent(path) !== undefined;
    } catch (error) {
      if (!isErrno(error, 'ENOTDIR')) throw error;
      throw new StorageError('TargetInvalid', 'destination', text, `A parent of ${text} is not a directory`, {}, { cause: error });
    }
  });
}

/** Nobody else gets anything by a directory that was made for copies, whatever the modes of the copies in it. */
export const OWNER_ONLY = 0o700;

/** How missing directories are made. */
export interface NewDirectories {
  /** False when the caller makes them durable itself. */
  readonly sync: boolean;
  /** Mode of the one at this place of the list, less the umask; for the owner alone when left out. */
  readonly modeOf?: (index: number) => number;
}

/** Creates the directories in order, each one durable before the next. Directories that exist already are left alone. */
export function createParents(root: string, directories: readonly PathBytes[], { sync, modeOf = () => OWNER_ONLY }: NewDirectories = { sync: true }): void {
  for (const [index, path] of directories.entries()) {
    inParent(root, path, 'destination', (parent, name) => {
      blaming('destination', pathText(path), () => {
        try {
          fs.mkdirSync(parent.entry(name), modeOf(index));
        } catch (error) {
          if (!isErrno(error, 'EEXIST')) throw error;
        }
        if (sync) parent.sync();
      });
    });
  }
}

/** Removes the directories again, deepest first; one that holds something, or is gone, stays as it is. */
export function removeEmptyParents(root: string, directories: readonly PathBytes[]): void {
  for (const path of [...directories].reverse()) {
    try {
      inParent(root, path, 'destination', (parent, name) => {
        unlessGone(() => fs.rmdirSync(parent.entry(name)));
        // Also of one that was gone: whoever removed it may have died before that.
        parent.sync();
      });
    } catch (error) {
      if (isErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR')) return;
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
}

function unlessGone(calls: () => void): void {
  try {
    calls();
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
