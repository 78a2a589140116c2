import * as fs from 'node:fs';
import { refuseForeign } from '../batch/open-run';
import { removeRunIn } from '../batch/remove-run';
import { runPath, type RunLocation } from '../batch/run-directory';
import type { RunOwner } from '../batch/run-mark';
import type { TransferControl } from '../control';
import { inDirectory } from '../directory';
import { blaming, isErrno, StorageError } from '../errors';
import { publishedBy } from './finished-run';
import { incomingDirectory, readRepository } from './repository';
import type { SnapshotRecord } from './snapshot-record';

/**
 * Undo of a snapshot that is not published: moves all of it aside, so that no step that comes late finds it, and removes
 * it. Repeated, it finds its work done. Answers the snapshot that the run has published all the same: that stays.
 * @throws StorageError `NotOwnRun`, `DestinationGone` while the disk is away, errno names
 */
export function discardSnapshot(location: RunLocation, owner: RunOwner, startedAt: string | undefined, control: TransferControl): SnapshotRecord | undefined {
  const { root, destination, runId } = location;
  return blaming('destination', runPath(location), () => {
    requireRepository(destination);
    unlessMissing(() =>
      inDirectory(root, incomingDirectory(destination), 'destination', (incoming) => {
        const revoked = `${runId}.revoked`;
        for (const name of [revoked, runId]) refuseForeign(location, owner, incoming.entry(name));
        try {
          fs.renameSync(incoming.entry(runId), incoming.entry(revoked));
        } catch (error) {
          if (!isErrno(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) throw error;
        }
        for (const name of [revoked, runId]) unlessMissing(() => removeRunIn(incoming, name, { location, owner }, control));
        // What a power cut brought back would take up space that was said to be free.
        incoming.sync();
      }),
    );
    return publishedBy(location, startedAt);
  });
}

function unlessMissing(calls: () => void): void {
  try {
    calls();
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
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
