import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { blaming, isErrno, StorageError } from './errors';
import { lstatIfPresent } from './file-stat';
import { inParent } from './directory';

/** The directories between `root` and the target that do not exist, nearest to the root first. */
export function missingParents(root: string, targetPath: string): string[] {
  const missing: string[] = [];
  for (let path = dirname(targetPath); path !== root; path = dirname(path)) {
    if (isPresent(path)) break;
    missing.unshift(path);
  }
  return missing;
}

function isPresent(path: string): boolean {
  return blaming('destination', path, () => {
    try {
      return lstatIfPresent(path) !== undefined;
    } catch (error) {
      if (!isErrno(error, 'ENOTDIR')) throw error;
      throw new StorageError('TargetInvalid', 'destination', path, `A parent of ${path} is not a directory`, {}, { cause: error });
    }
  });
}

/**
 * Creates the directories in order, each one durable before the next, unless the caller makes them durable itself.
 * Directories that exist already are left alone.
 */
export function createParents(root: string, directories: readonly string[], { sync } = { sync: true }): void {
  for (const path of directories) {
    inParent(root, path, 'destination', (parent, name) => {
      blaming('destination', path, () => {
        try {
          fs.mkdirSync(parent.entry(name));
        } catch (error) {
          if (!isErrno(error, 'EEXIST')) throw error;
        }
        if (sync) parent.sync();
      });
    });
  }
}

/** Removes the directories again, deepest first; one that holds something, or is gone, stays as it is. */
export function removeEmptyParents(root: string, directories: readonly string[]): void {
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
