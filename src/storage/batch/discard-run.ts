import { blaming, StorageError } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { removeEmptyParents } from '../parents';
import { requireDestination } from '../staging';
import type { RunGround, RunPlace } from './open-run';
import { removeRun } from './remove-run';
import { runPath, type RunLocation } from './run-directory';
import type { RunOwner } from './run-mark';

/** True when the destination is there and the run's directory is not: its record was removed, as old ones are. */
export function isForgotten(location: RunLocation, ground: RunGround): boolean {
  const run = runPath(location);
  return blaming('destination', run, () => {
    requireDestination(ground.destination);
    return lstatIfPresent(run) === undefined;
  });
}

/** What is asked of a run of which nothing is left. */
export function endedAlready({ destination }: RunLocation): StorageError {
  return new StorageError('StagingRevoked', 'destination', destination, `The run in ${destination} has ended already`);
}

/**
 * Removes a run whose planning did not end: nothing of it was published, and no record is due. Repeated, it finds its work done.
 * @throws StorageError `NotOwnRun`, `DestinationGone`, `DestinationNotTrusted`, errno names
 */
export function discardRun(location: RunLocation, owner: RunOwner, ground: RunGround, places: readonly RunPlace[] = []): void {
  for (const place of places) discardRun(place.location, owner, place.ground);
  blaming('destination', runPath(location), () => {
    requireDestination(ground.destination);
    removeRun({ location, owner });
    removeEmptyParents(location.root, ground.missingDirectories);
  });
}
