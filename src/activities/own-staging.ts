import type { StagingOwner } from '../storage/prepare-staging';
import type { StagingLocation } from '../storage/staging';
import { attemptsSoFar } from './attempts';
import { currentOwner, type ActivityDependencies, type Operation } from './operation';
import { destinationRoot } from './roots';
import { ownerOfChain } from './run-location';
import { toFailure } from './step-failed';

/** Where a run stages one file, and whose that is. */
export interface OwnStaging {
  readonly location: StagingLocation;
  readonly owner: StagingOwner;
}

/**
 * The staging directory of the run that asks: named by the run id that its chain of executions began with, never by the
 * input, so that no run can touch another one's, and a run that was reset goes on with what it has staged.
 * @throws ApplicationFailure `TargetNotAllowed`
 */
export async function ownStaging(dependencies: ActivityDependencies, { input: { backupPath: targetPath }, destination }: Operation): Promise<OwnStaging> {
  const root = destinationRoot(dependencies.roots, targetPath);
  const owner = registeredOwner(dependencies, targetPath) ?? (await ownerOfChain(dependencies));
  return { location: { root, targetPath, runId: owner.runId, destination }, owner };
}

/**
 * The execution itself, where this worker has made staging for it by its own run id: that is the first of its chain, or one
 * that was reset while an earlier version of the program served it, which named staging by that.
 */
function registeredOwner({ clusterId, registry }: ActivityDependencies, targetPath: string): StagingOwner | undefined {
  const owner = currentOwner(clusterId);
  try {
    return registry.findStaging({ runId: owner.runId, targetPath }) === undefined ? undefined : owner;
  } catch (error) {
    throw toFailure(error, attemptsSoFar());
  }
}
