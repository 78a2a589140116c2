import { CancellationScope, continueAsNew, workflowInfo } from '@temporalio/workflow';
import type { RestoreEnd, RestorePlan } from '../activities';
import type { RestoreInput, RestoreOutput } from '../restore-models';
import { withAttempts } from './attempts';
import { attemptsFor } from './batch-attempts';
import { carriedState, enterPhase, journalsOf, startBatchRun, type BatchRun, type BatchState, type RunInput } from './batch-run';
import { chunkSummary, noSagas, type ChunkJob } from './chunk-job';
import { patiently } from './patience';
import { presentableOperationId, presentablePath } from './presentable';
import { chunkSteps } from './proxies';
import { endedRestore } from './restore-end';
import { restoreOutput } from './restore-output';
import { workOff } from './work-off';

/** A restore while it runs. Its destination is the directory to restore to. */
export type RestoreRun = BatchRun<RestoreInput & RunInput, RestorePlan>;

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

/** Makes what is no file and adds everything up; of a restore that was cut short only the latter. */
export async function finishRestore(run: RestoreRun, restore: RestorePlan, cancelled: boolean): Promise<RestoreEnd> {
  const summary = cancelled ? 'add up what was restored' : 'make directories and links';
  return withAttempts(attemptsFor(run), (retry) => chunkSteps.finishRestore.executeWithOptions({ summary, retry }, [{ restore, cancelled, known: journalsOf(run) }]));
}

/** Removes what is the run's own. */
export async function closeRestore(run: RestoreRun, restore: RestorePlan, { failuresPath }: RestoreEnd): Promise<void> {
  await withAttempts(attemptsFor(run), (retry) => chunkSteps.closeRestore.executeWithOptions({ summary: 'remove what is left of the run', retry }, [{ restore, failuresPath }]));
}
