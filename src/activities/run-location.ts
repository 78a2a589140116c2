import { failure } from '../failures';
import { absoluteDirectory } from '../models';
import type { RunLocation } from '../storage/batch/run-directory';
import { destinationRoot, type AllowedRoots } from './roots';

const RUN_ID = /^[\w-]+$/;

/**
 * Where a run works, as far as this worker allows it. Whoever starts a workflow can hand it the state of an earlier
 * execution, so that nothing of a location is taken on trust, whichever step it comes to.
 * @throws ApplicationFailure `InvalidInput`, `TargetNotAllowed`
 */
export function runLocation(roots: AllowedRoots, { destination, runId }: Pick<RunLocation, 'destination' | 'runId'>): RunLocation {
  if (!RUN_ID.test(runId) || !absoluteDirectory.safeParse(destination).success) throw failure('InvalidInput', `The run ${runId} in ${destination} is none that this worker has planned`, { path: destination });
  return { root: destinationRoot(roots, destination), destination, runId };
}

/** Where a snapshot is being made, likewise. @throws ApplicationFailure `InvalidInput`, `TargetNotAllowed` */
export function snapshotLocation(roots: AllowedRoots, location: Pick<RunLocation, 'destination' | 'runId'>): RunLocation {
  return { ...runLocation(roots, location), area: 'incoming' };
}
