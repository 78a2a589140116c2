import { CancellationScope, continueAsNew, workflowInfo } from '@temporalio/workflow';
import type { RestoreEnd, RestorePlan } from '../activities';
import type { RestoreInput, RestoreOutput } from '../restore-models';
import { withAttempts } from './attempts';
import { attemptsFor } from './batch-attempts';
import { carriedState, enterPhase, startBatchRun, type BatchState } from './batch-run';
import { chunkSummary, noSagas, type ChunkJob } from './chunk-job';
import { patiently } from './patience';
import { presentableOperationId, presentablePath } from './presentable';
import { chunkSteps } from './proxies';
import { endedRestore } from './restore-end';
import { restoreOutput } from './restore-output';
import { closeRestore, finishRestore, type RestoreRun } from './restore-run';
import { workOff } from './work-off';

/**
 * Restores a snapshot, or parts of it, as a batch of files is backed up: plan → chunks in lanes → everything that is no
 * file. What is restored stays, also when the run is cancelled or fails; a file is restored whole and verified, or not at
 * all. Completes with a record, also when entries failed.
 */
export async function restoreSnapshot(input: RestoreInput, carried?: BatchState<RestorePlan>): Promise<RestoreOutput> {
  const run: RestoreRun = startBatchRun(presentable(input), carried);
  const output = await workOff(run, {
    plan: () => plan(run, input),
    jobOf: restoreJob,
    finish: async (restore) => restoreOutput(run, await finish(run, restore), null),
    end: (error) => endedRestore(run, error),
  });
  if (output === undefined) await continueAsNew<typeof restoreSnapshot>(inputOf(run), carriedState(run));
  return output as RestoreOutput;
}

/** Before the first step has parsed it. */
function presentable(input: unknown): RestoreRun['input'] {
  const raw = (typeof input === 'object' ? input : null) as RestoreInput | null;
  return { ...raw, operationId: presentableOperationId(raw?.operationId), repository: presentablePath(raw?.repository), backupDir: presentablePath(raw?.target) } as RestoreRun['input'];
}

/** What was wanted is in the plan by now. */
function inputOf({ input: { backupDir: _backupDir, ...input } }: RestoreRun): RestoreInput {
  return { ...input, paths: [] };
}

function restoreJob(restore: RestorePlan): ChunkJob {
  return {
    chunks: restore.chunks,
    isAllOrNothing: false,
    workOn: (chunk, pass, retry) => chunkSteps.restoreChunk.executeWithOptions({ summary: chunkSummary(restore, chunk, pass), retry }, [{ restore, chunk, ...pass }]),
    escalate: noSagas,
  };
}

async function plan(run: RestoreRun, input: RestoreInput): Promise<RestorePlan> {
  enterPhase(run, 'planning');
  const runId = workflowInfo().firstExecutionRunId;
  return withAttempts(attemptsFor(run), (retry) => chunkSteps.planRestore.executeWithOptions({ summary: 'plan the restore', retry }, [{ input, runId }]));
}

/** A cancellation ends the waits for a destination, but not the steps. */
async function finish(run: RestoreRun, restore: RestorePlan): Promise<RestoreEnd> {
  enterPhase(run, 'sealing');
  const end = await patiently(run, 'seal', () => CancellationScope.nonCancellable(() => finishRestore(run, restore, false)));
  await patiently(run, 'seal', () => CancellationScope.nonCancellable(() => closeRestore(run, restore, end)));
  return end;
}
