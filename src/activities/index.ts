import { BACKUP_BATCH_WORKFLOW, BACKUP_FILE_WORKFLOW, BACKUP_SNAPSHOT_WORKFLOW, RESTORE_SNAPSHOT_WORKFLOW } from '../core/names';
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
export type { DiscardedSnapshot, SealedSnapshot, SnapshotPlan } from './snapshot-steps';
export { ThreadPool } from './thread-pool';

function stepsOf(dependencies: ActivityDependencies) {
  const file = { ...createForwardSteps(dependencies), ...createInPlaceSteps(dependencies), ...createClosingSteps(dependencies) };
  const closing = createBatchClosingSteps(dependencies);
  return {
    file,
    batch: { ...createBatchSteps(dependencies), ...closing },
    snapshot: createSnapshotSteps(dependencies),
    restore: { ...createRestoreSteps(dependencies), discardRun: (request: { runId: string }) => closing.discardRun(request) },
    repository: createRepositorySteps(dependencies),
  };
}

function allSteps({ file, batch, snapshot, restore, repository }: ReturnType<typeof stepsOf>) {
  return served({ ...file, ...batch, ...snapshot, ...restore, ...repository });
}

export type Activities = ReturnType<typeof allSteps>;

/**
 * The activities of the package, for a worker's `activities` option.
 * @param workflowType only what this type of workflow needs; files of a batch may get runs of their own
 */
export function createActivities(dependencies: ActivityDependencies, workflowType: string | undefined): Partial<Activities>;
export function createActivities(dependencies: ActivityDependencies): Activities;
export function createActivities(dependencies: ActivityDependencies, workflowType?: string): Partial<Activities> {
  const steps = stepsOf(dependencies);
  const all = allSteps(steps);
  if (workflowType === undefined) return all;
  const { file, batch, snapshot, restore } = steps;
  const needed: Readonly<Record<string, object>> = {
    [BACKUP_FILE_WORKFLOW]: file,
    [BACKUP_BATCH_WORKFLOW]: { ...batch, ...file },
    [BACKUP_SNAPSHOT_WORKFLOW]: snapshot,
    [RESTORE_SNAPSHOT_WORKFLOW]: restore,
  };
  return Object.fromEntries(Object.entries(all).filter(([name]) => name in (needed[workflowType] ?? {})));
}
