import { createBatchClosingSteps } from './batch-closing-steps';
import { createBatchSteps } from './batch-steps';
import { createClosingSteps } from './closing-steps';
import { createForwardSteps } from './forward-steps';
import { createInPlaceSteps } from './in-place-steps';
import { createRepositorySteps } from './repository-steps';
import { createRestoreSteps } from './restore-steps';
import { createSnapshotSteps } from './snapshot-steps';
import type { ActivityDependencies } from './operation';
import { served } from './served';

export type { RunSummary } from '../storage/batch/seal-run';
export { breakerInterceptor } from './breaker-interceptor';
export { DestinationBreakers } from './breakers';
export { KEEP_RUNS } from './batch-closing-steps';
export type { Batch } from './batch-steps';
export type { ChunkResult, PassingFile } from './chunk-result';
export type { ActivityDependencies, Operation, Staged } from './operation';
export { proofInterceptor } from './proof-interceptor';
export type { AllowedRoots } from './roots';
export type { Checked, Pruned } from './repository-steps';
export type { RestoreEnd, RestorePlan } from './restore-steps';
export type { SealedSnapshot, SnapshotPlan } from './snapshot-steps';
export { ThreadPool } from './thread-pool';

/** All activities of the package, for a worker's `activities` option. */
export function createActivities(dependencies: ActivityDependencies) {
  return served({
    ...createForwardSteps(dependencies),
    ...createInPlaceSteps(dependencies),
    ...createClosingSteps(dependencies),
    ...createBatchSteps(dependencies),
    ...createBatchClosingSteps(dependencies),
    ...createSnapshotSteps(dependencies),
    ...createRestoreSteps(dependencies),
    ...createRepositorySteps(dependencies),
  });
}

export type Activities = ReturnType<typeof createActivities>;
