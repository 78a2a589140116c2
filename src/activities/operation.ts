import { Context } from '@temporalio/activity';
import { failure } from '../failures';
import type { FileBackupInput } from '../models';
import type { Inspected } from '../storage/inspect-file';
import type { StagingOwner } from '../storage/prepare-staging';
import type { StagedFile } from '../storage/stage-file';
import type { StagingRegistry } from '../storage/staging-registry';
import type { AllowedRoots } from './roots';
import type { ThreadPool } from './thread-pool';

/** What activities need of the worker that runs them. */
export interface ActivityDependencies {
  readonly roots: AllowedRoots;
  readonly pool: ThreadPool;
  readonly registry: StagingRegistry;
  /** Which Temporal cluster answers for the runs: written into every staging directory. */
  readonly clusterId: string;
  /** The run id that an execution's chain began with, as the server knows it: what a run stages, and a run of many files, is named by that. */
  readonly firstRunIdOf: (execution: Pick<StagingOwner, 'workflowId' | 'runId'>) => Promise<string>;
  /** Ends what other runs have left in a destination that are over: what they did is then there to be found, and what they held is free. */
  readonly sweepOthers: (destination: string, runId: string) => Promise<void>;
}

/** The operation as its first step found it: input of all later steps. */
export interface Operation extends Inspected {
  readonly input: FileBackupInput;
}

/** How many attempts a step took. */
export interface Attempted {
  readonly attempt: number;
}

/** A staged file as history keeps it. */
export type Staged = Pick<StagedFile, 'name' | 'sha256' | 'sizeBytes' | 'changed' | 'ownerKept'> & Partial<Pick<StagedFile, 'inode'>> & Attempted;

export function currentOwner(clusterId: string): StagingOwner {
  const { workflowExecution, namespace } = Context.current().info;
  if (workflowExecution === undefined) throw failure('InvalidInput', 'This activity belongs to a backupFile workflow and cannot run on its own');
  return { clusterId, namespace, ...workflowExecution };
}

export function attempt(): number {
  return Context.current().info.attempt;
}
