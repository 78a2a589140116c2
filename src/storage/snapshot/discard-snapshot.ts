import * as fs from 'node:fs';
import { basename, dirname } from 'node:path';
import { refuseForeign, type RunOwner } from '../batch/open-run';
import { runDirectory, type RunLocation } from '../batch/run-directory';
import type { TransferControl } from '../control';
import { blaming, isErrno, StorageError } from '../errors';
import { removeTree } from './remove-tree';
import { readRepository } from './repository';

/**
 * Undo of a snapshot that is not published: moves all of it aside, so that no step that comes late finds it, and removes
 * it. Repeated, it finds its work done.
 * @throws StorageError `NotOwnRun`, `DestinationGone` while the disk is away, errno names
 */
export function discardSnapshot(location: RunLocation, owner: RunOwner, control: TransferControl): void {
  const run = runDirectory(location);
  const revoked = `${run}.revoked`;
  blaming('destination', run, () => {
    requireRepository(location.destination);
    for (const path of [run, revoked]) refuseForeign(location, owner, path);
    try {
      fs.renameSync(run, revoked);
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) throw error;
    }
    for (const path of [revoked, run]) removeTree(dirname(path), basename(path), control);
  });
}

/** It was there when the run began. */
function requireRepository(path: string): void {
  try {
    readRepository(path);
  } catch (error) {
    if (!isErrno(error, 'RepositoryNotFound')) throw error;
    throw new StorageError('DestinationGone', 'destination', path, `Repository ${path} is gone`, {}, { cause: error });
  }
}
