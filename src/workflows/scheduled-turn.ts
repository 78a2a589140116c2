import { ChildWorkflowCancellationType, executeChild, sleep, uuid4, workflowInfo } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { failure } from '../failures';
import { turnWait } from '../policies';
import type { ScheduledInput } from '../schedule-models';
import { operationKey, stateKey } from '../search-attributes';
import type { SnapshotOutput } from '../snapshot-models';
import { backupSnapshot } from './backup-snapshot';
import { enterStep, type ScheduledOptions, type ScheduledRun } from './scheduled-run';

/**
 * Takes the snapshot by a run of its own. While somebody else takes one of the same sources it waits: whether that one is
 * finished nobody can promise, and what is unchanged costs little.
 * @throws ApplicationFailure `TargetBusy` when the other one takes too long, and what the snapshot failed with
 */
export async function takeInTurn(run: ScheduledRun, input: ScheduledInput, options: ScheduledOptions): Promise<SnapshotOutput> {
  let waitedMs = 0;
  for (let waitMs: number = turnWait.firstMs; ; waitMs = Math.min(2 * waitMs, turnWait.capMs)) {
    try {
      enterStep(run, 'snapshot');
      return await takeSnapshot(input, options);
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    const reason = `another run takes a snapshot of the same sources (run ${options.workflowId})`;
    if (waitedMs + waitMs > turnWait.totalMs) throw failure('TargetBusy', `For hours ${reason}`);
    enterStep(run, 'snapshot', reason);
    await sleep(waitMs, { summary: 'another run takes the same snapshot' });
    waitedMs += waitMs;
  }
}

export function takeSnapshot({ snapshot }: ScheduledInput, { workflowId, memo, summary }: ScheduledOptions): Promise<SnapshotOutput> {
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
