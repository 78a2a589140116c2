import { dirname } from 'node:path';
import type { RunGround } from '../../batch/open-run';
import { emptyRun, removeRun } from '../../batch/remove-run';
import { runEntries, runsDirectory, type RunLocation } from '../../batch/run-directory';
import { inDirectory, type OpenDirectory } from '../../directory';
import { blaming } from '../../errors';
import { removeEmptyParents } from '../../parents';
import { setTimes } from '../../posix';
import { requireDestination } from '../../staging';
import { applyAttributes, type Attributes } from './attributes';

export interface CloseRequest {
  readonly location: RunLocation;
  readonly ground: RunGround;
  /** As `finishRestore` answered it: that file stays. */
  readonly failuresPath: string | null;
  /** As `planRestore` answered them: what the destination itself is to have. */
  readonly rootAttributes: Attributes | null;
}

/**
 * Removes everything of a restore's own from its destination, but for the list of failures where there is one. Repeated,
 * it finds its work done.
 * @throws StorageError `DestinationGone`, errno names
 */
export function closeRestore({ location, ground, failuresPath, rootAttributes }: CloseRequest): void {
  const { root, destination } = location;
  blaming('destination', destination, () => {
    requireDestination(ground.destination);
    inDirectory(root, destination, 'destination', (directory) => {
      const { mtimeNs } = directory.stat();
      if (failuresPath === null) removeRun(location);
      else keepFailures(location);
      removeEmptyParents(root, [dirname(runsDirectory(location)), runsDirectory(location)]);
      // Last: what was removed has changed its times, and a read-only directory lets nothing be removed.
      if (rootAttributes !== null) directory.use((descriptor) => applyAttributes(descriptor, rootAttributes));
      else keepTime(directory, mtimeNs);
      directory.sync();
    });
  });
}

function keepFailures(location: RunLocation): void {
  inDirectory(location.root, runsDirectory(location), 'destination', (runs) => emptyRun(runs, location.runId, location.runId, [runEntries.failures]));
}

/** Of a directory that belongs to somebody else: nothing of it was asked to change. */
function keepTime(directory: OpenDirectory, mtimeNs: bigint): void {
  if (directory.stat().mtimeNs === mtimeNs) return;
  try {
    directory.use((descriptor) => setTimes(descriptor, mtimeNs));
  } catch {
    // Somebody else's directory, in which this user may write: its time stays as it is.
  }
}
