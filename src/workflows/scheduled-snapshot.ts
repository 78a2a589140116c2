import { ApplicationFailure, ChildWorkflowCancellationType, executeChild, patched, uuid4, workflowInfo } from '@temporalio/workflow';
import type { Checked, Pruned } from '../activities';
import type { FailureType } from '../failures';
import type { SnapshotOutput } from '../snapshot-models';
import type { ScheduledInput } from '../schedule-models';
import { operationKey, stateKey } from '../search-attributes';
import { afterInterruptions } from './attempts';
import { backupSnapshot } from './backup-snapshot';
import { repositorySteps } from './proxies';

export interface ScheduledOptions {
  /** Id of the snapshot's run: the same as of one that a person starts, so that there is one at a time. */
  readonly workflowId: string;
  /** What the snapshot's run notes in its memo, but for its operation. */
  readonly memo: Readonly<Record<string, unknown>>;
  readonly summary: string;
}

/** What one time of a schedule came to. */
export interface ScheduledOutput {
  readonly snapshot: SnapshotOutput;
  readonly prune: Pruned | null;
  readonly check: Checked | null;
}

/**
 * What a schedule does each time: a snapshot by a run of its own, then pruning and a check where they are asked for.
 * Fails when there is no snapshot, when a source of it was lost (the others are in it, and nothing is pruned then), and
 * when the check finds something wrong: what a schedule shows as failed needs somebody's attention. A snapshot that is
 * partial for other reasons is none of that: its run says so.
 */
export async function scheduledSnapshot(input: ScheduledInput, options: ScheduledOptions): Promise<ScheduledOutput> {
  const snapshot = await takeSnapshot(input, options);
  const { repository, host, sources } = input.snapshot;
  const lost = lossOf(snapshot);
  // Earlier snapshots may be all that there is of it.
  const mayPrune = lost === undefined || !patched('keep-all-while-a-source-is-lost');
  const prune = input.prune === null || !mayPrune ? null : await prunedBy({ repository, host, sources, keep: input.prune });
  const check = input.check === null ? null : await checkedBy({ repository, readData: input.check.readData });
  const output = { snapshot, prune, check };
  if (check !== null && check.problems > 0) throw ApplicationFailure.nonRetryable(`The check of ${repository} found ${check.problems} problems; look at them with: file-backup check`, 'SnapshotDamaged', output);
  if (lost !== undefined) throw ApplicationFailure.nonRetryable(`The snapshot ${snapshot.snapshot} of ${repository} is without a source: ${lost.message}`, lost.type, output);
  return output;
}

function prunedBy(request: Parameters<typeof repositorySteps.pruneRepository>[0]): Promise<Pruned> {
  return afterInterruptions(() => repositorySteps.pruneRepository.executeWithOptions({ summary: 'prune' }, [request]));
}

function checkedBy(request: Parameters<typeof repositorySteps.checkRepository>[0]): Promise<Checked> {
  return afterInterruptions(() => repositorySteps.checkRepository.executeWithOptions({ summary: 'check' }, [request]));
}

/** A named source that was not there, went away, or is empty where it was not; the first of them. */
function lossOf({ failureSample, failuresByType }: SnapshotOutput): { readonly type: FailureType; readonly message: string } | undefined {
  const type = losses.find((each) => (failuresByType[each] ?? 0) > 0);
  return type && { type, message: failureSample.find((failed) => failed.type === type)?.message ?? type };
}

const losses: readonly FailureType[] = ['SourceNotFound', 'SourceGone', 'SourceEmptied'];

function takeSnapshot({ snapshot }: ScheduledInput, { workflowId, memo, summary }: ScheduledOptions): Promise<SnapshotOutput> {
  const operationId = uuid4();
  // Where the schedule's run has such attributes, the namespace knows them.
  const isRegistered = workflowInfo().typedSearchAttributes.get(stateKey) !== undefined;
  return executeChild(backupSnapshot, {
    workflowId,
    // One that is missing must not cost the others their night.
    args: [{ ...snapshot, operationId, allowMissing: true }],
    memo: { ...memo, operationId },
    staticSummary: summary,
    cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
    ...(isRegistered ? { typedSearchAttributes: [{ key: operationKey, value: operationId }, { key: stateKey, value: 'active' }] } : {}),
  });
}
