import { CancellationScope, continueAsNew, workflowInfo } from '@temporalio/workflow';
import type { Batch, RunSummary } from '../activities';
import type { BatchBackupInput, BatchBackupOutput } from '../batch-models';
import { withAttempts } from './attempts';
import { attemptsFor } from './batch-attempts';
import { endedBatch } from './batch-end';
import { batchOutput } from './batch-output';
import { batchJob, type FileBatch } from './batch-job';
import { carriedState, enterPhase, startBatchRun, type BatchOptions, type BatchState } from './batch-run';
import { patiently } from './patience';
import { presentableOperationId, presentablePath } from './presentable';
import { chunkSteps } from './proxies';
import { sealBatch } from './seal-batch';
import { workOff } from './work-off';

/**
 * Backs a list of files up: plan → chunks in lanes → seal. A chunk of up to a thousand files is one activity, so history
 * grows by some six events for each; when the server suggests it, the lanes are drained and the run continues as new with
 * a state of constant size. Completes with a record, also when files failed; fails when the batch as a whole did.
 */
export async function backupBatch(input: BatchBackupInput, options: BatchOptions, carried?: BatchState<Batch>): Promise<BatchBackupOutput> {
  const run: FileBatch = startBatchRun(presentable(input), carried);
  const output = await workOff(run, {
    plan: () => plan(run, input),
    jobOf: (batch) => batchJob(run, batch, options),
    finish: async (batch) => batchOutput(run, await commit(run, batch), null),
    end: (error) => endedBatch(run, error),
  });
  if (output === undefined) await continueAsNew<typeof backupBatch>(inputOf(run), options, carriedState(run));
  return output as BatchBackupOutput;
}

/** Before the first step has parsed it. */
function presentable(input: unknown): BatchBackupInput {
  const raw = (typeof input === 'object' ? input : null) as BatchBackupInput | null;
  return { ...raw, operationId: presentableOperationId(raw?.operationId), backupDir: presentablePath(raw?.backupDir) } as BatchBackupInput;
}

/** The list itself is in the plan by now, and need not travel on. */
function inputOf({ input }: FileBatch): BatchBackupInput {
  return { ...input, sources: undefined, sourceList: undefined };
}

async function plan(run: FileBatch, input: BatchBackupInput): Promise<Batch> {
  enterPhase(run, 'planning');
  const runId = workflowInfo().firstExecutionRunId;
  return withAttempts(attemptsFor(run), (retry) => chunkSteps.planBatch.executeWithOptions({ summary: 'plan the batch', retry }, [{ input, runId }]));
}

/** A cancellation ends the wait for a destination, but not the step: half a commit cannot be undone. */
async function commit(run: FileBatch, batch: Batch): Promise<RunSummary> {
  return patiently(run, 'seal', () => CancellationScope.nonCancellable(() => sealBatch(run, batch, 'complete')));
}
