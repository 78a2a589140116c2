import * as fs from 'node:fs';
import { blaming } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { removeEmptyParents } from '../parents';
import { requireDestination } from '../staging';
import { refuseForeign, type RunGround, type RunOwner } from './open-run';
import { runDirectory, type RunLocation } from './run-directory';

/** True when the destination is there and the run's directory is not: its record was removed, as old ones are. */
export function isForgotten(location: RunLocation, ground: RunGround): boolean {
  const run = runDirectory(location);
  return blaming('destination', run, () => {
    requireDestination(ground.destination);
    return lstatIfPresent(run) === undefined;
  });
}

/**
 * Removes a run whose planning did not end: nothing of it was published, and no record is due. Repeated, it finds its work done.
 * @throws StorageError `NotOwnRun`, `DestinationGone`, errno names
 */
export function discardRun(location: RunLocation, owner: RunOwner, ground: RunGround): void {
  const run = runDirectory(location);
  blaming('destination', run, () => {
    requireDestination(ground.destination);
    refuseForeign(location, owner);
    fs.rmSync(run, { recursive: true, force: true });
    removeEmptyParents(location.root, ground.missingDirectories);
  });
}
