import type { SnapshotPlan } from '../activities';
import type { SnapshotInput } from '../snapshot-models';
import type { BatchRun, RunInput } from './batch-run';

/** A snapshot while it is made. Its destination is the repository. */
export type SnapshotRun = BatchRun<SnapshotInput & RunInput, SnapshotPlan>;
