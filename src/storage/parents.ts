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

/** Nobody else may write in them, whatever the umask allows: what is made in them would not be safe. */
const CREATED_MODE = 0o755;

/**
 * Creates the directories in order, each one durable before the next, unless the caller makes them durable itself.
 * Directories that exist already are left alone.
 */
export function createParents(root: string, directories: readonly PathBytes[], { sync, mode }: { readonly sync: boolean; readonly mode?: number } = { sync: true }): void {
  for (const path of directories) {
    inParent(root, path, 'destination', (parent, name) => {
      blaming('destination', pathText(path), () => {
        try {
          fs.mkdirSync(parent.entry(name), mode ?? CREATED_MODE);
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
        fs.rmdirSync(parent.entry(name));
        parent.sync();
      });
    } catch (error) {
      if (isErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR')) return;
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
}
