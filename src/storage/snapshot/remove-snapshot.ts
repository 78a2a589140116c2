import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseSnapshotName } from '../../core/snapshot-name';
import type { TransferControl } from '../control';
import { inDirectory, using, type OpenDirectory } from '../directory';
import { blaming, isErrno, StorageError } from '../errors';
import { makeTrusted } from '../make-directory';
import { removedDirectory } from './repository';
import { removeTree, type RemovedTree } from '../remove-tree';

/**
 * Takes a snapshot out of the repository's list, by one rename: whatever happens then, no half of it is ever listed. What
 * it held is where `sweepRemoved` deletes it.
 * @returns false when there is no such snapshot any more
 * @throws StorageError errno names
 */
export function unlistSnapshot(repository: string, name: string): boolean {
  return inRemoved(repository, (removed) =>
    inDirectory(repository, repository, 'destination', (listed) => {
      try {
        fs.renameSync(listed.entry(name), removed.entry(`${name}-${randomBytes(4).toString('hex')}`));
      } catch (error) {
        if (isErrno(error, 'ENOENT')) return false;
        throw error;
      }
      // Before anything in it is deleted: after a power cut it must not be back in the list with a half of its files.
      removed.sync();
      listed.sync();
      return true;
    }),
  );
}

/** What sweeping came to; of what could not be deleted the first few. */
export interface Swept extends RemovedTree {
  readonly problems: readonly string[];
}

const PROBLEMS_SHOWN = 20;

/**
 * Deletes everything that was taken out of the list, also by runs that were killed, and makes that durable. What cannot be deleted is left for the
 * next time; entries that nothing here has put there are left alone.
 * @throws StorageError `Cancelled`, errno names
 */
export function sweepRemoved(repository: string, control: TransferControl): Swept {
  return inRemoved(repository, (removed) => {
    let [entries, freedBytes] = [0, 0];
    const problems: string[] = [];
    for (const name of fs.readdirSync(removed.handle).filter(isOfRemoved)) {
      control.startFile(name);
      try {
        const tree = blaming('destination', join(removedDirectory(repository), name), () => removeTree(removed.handle, name, control));
        entries += tree.entries;
        freedBytes += tree.freedBytes;
      } catch (error) {
        if (!(error instanceof StorageError) || error.code === 'Cancelled') throw error;
        if (problems.length < PROBLEMS_SHOWN) problems.push(error.message);
      }
    }
    // Before it is reported: what a power cut brings back here would take up space that was said to be free.
    removed.sync();
    return { entries, freedBytes, problems };
  });
}

/** A snapshot's name and eight random digits. */
export function isOfRemoved(name: string): boolean {
  return /-[0-9a-f]{8}$/.test(name) && parseSnapshotName(name.slice(0, -9)) !== undefined;
}

/** Opens the place for what is removed, which is made if a copy of the repository has lost it, being empty. */
function inRemoved<T>(repository: string, calls: (removed: OpenDirectory) => T): T {
  const path = removedDirectory(repository);
  return blaming('destination', path, () => inDirectory(repository, dirname(path), 'destination', (own) => using(makeTrusted(own, basename(path)), calls)));
}
