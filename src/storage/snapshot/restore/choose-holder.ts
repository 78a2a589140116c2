import { dirname, join } from 'node:path';
import { inspectRun, type RunGround } from '../../batch/open-run';
import type { RunLocation } from '../../batch/run-directory';
import { using, OpenDirectory } from '../../directory';
import { isErrno } from '../../errors';
import { refuseInsideRepository } from '../../inside-repository';
import { missingParents } from '../../parents';
import { openWanted } from './open-source';
import { outsideRepositories } from './outside-repositories';
import type { RestoreRequest, RestoreSelection } from './request';
import { restoreItems } from './restore-items';
import { StagingPlaces } from './staging-places';
import { TargetFinder } from './target-finder';
import { requireWritable } from './writable';

/** Where a restore keeps everything of its own. */
export interface InspectedRestore {
  readonly beside?: string;
  readonly ground: RunGround;
}

/**
 * Looks where the run's directory of a restore will be. Creates nothing.
 * @throws StorageError as `inspectRun`, and as `chooseHolder`
 */
export function inspectRestore(request: RestoreRequest): InspectedRestore {
  const { location } = request;
  refuseInsideRepository(location.destination);
  const beside = chooseHolder({ ...request, ...location });
  return { ...(beside === undefined ? {} : { beside }), ground: inspectRun({ ...location, beside }) };
}

/**
 * The directory in which a restore keeps its own files: undefined for the destination, where that may be written or can be
 * made; else the first one that may, of those that something is restored to. Whoever puts his own files back to where they
 * were need not be able to write to the root directory.
 * @throws StorageError `PermissionDenied`, `DestinationReadOnly` when there is none, `DestinationNotTrusted`, and as `openWanted`
 */
export function chooseHolder(request: RestoreSelection & Pick<RunLocation, 'root' | 'destination'>): string | undefined {
  const { root, destination } = request;
  const nearest = join(destination, '-');
  try {
    using(OpenDirectory.look(root, dirname(missingParents(root, nearest)[0] ?? nearest), 'destination'), requireWritable);
    return undefined;
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM', 'EROFS')) throw error;
    const place = firstPlace(request);
    if (place === undefined) throw error;
    return place;
  }
}

function firstPlace(request: RestoreSelection & Pick<RunLocation, 'root' | 'destination'>): string | undefined {
  const finder = new TargetFinder(request);
  const places = new StagingPlaces(request);
  try {
    for (const item of outsideRepositories(restoreItems(openWanted(request), request), request.destination)) {
      const place = places.find(item, finder);
      if (place !== undefined) return place;
    }
    return undefined;
  } finally {
    finder.close();
    places.close();
  }
}
