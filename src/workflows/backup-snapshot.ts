import { ApplicationFailure, CancellationScope, continueAsNew, patched, workflowInfo } from '@temporalio/workflow';
import type { SealedSnapshot, SnapshotPlan } from '../activities';
import { failureKinds } from '../failures';
import type { SnapshotInput, SnapshotOutput } from '../snapshot-models';
import { withAttempts } from './attempts';
import { attemptsFor } from './batch-attempts';
import { carriedState, enterPhase, journalsOf, startBatchRun, type BatchState } from './batch-run';
import { chunkSummary, noSagas, type ChunkJob } from './chunk-job';
import { patiently } from './patience';
import { presentableOperationId, presentablePath } from './presentable';
import { chunkSteps } from './proxies';
import { endedSnapshot } from './snapshot-end';
import { snapshotOutput } from './snapshot-output';
import type { SnapshotRun } from './snapshot-run';
import { workOff } from './work-off';

/**
 * Takes a snapshot of directory trees: plan → chunks in lanes → seal, as a batch of files, into a directory that nobody
 * sees before one rename publishes it. Continues as new when the server suggests it. Completes with a record, also when
 * entries failed: the snapshot is partial then. Fails, and leaves nothing, when the snapshot as a whole could not be made.
 */
export async function backupSnapshot(input: SnapshotInput, carried?: BatchState<SnapshotPlan>): Promise<SnapshotOutput> {
  const run: SnapshotRun = startBatchRun(presentable(input), carried);
  const output = await workOff(run, {
    plan: () => plan(run, input),
    jobOf: snapshotJob,
    finish: async (snapshot) => snapshotOutput(run, await seal(run, snapshot), null),
    end: (error) => endedSnapshot(run, error),
  });
  if (output === undefined) await continueAsNew<typeof backupSnapshot>(inputOf(run), carriedState(run));
  return output as SnapshotOutput;
}

/** Before the first step has parsed it. */
function presentable(input: unknown): SnapshotRun['input'] {
  const raw = (typeof input === 'object' ? input : null) as SnapshotInput | null;
  return { ...raw, operationId: presentableOperationId(raw?.operationId), backupDir: presentablePath(raw?.repository) } as SnapshotRun['input'];
}

/** What was to be walked through is in the plan by now. */
function inputOf({ input: { backupDir: _backupDir, ...input } }: SnapshotRun): SnapshotInput {
  return { ...input, excludes: [] };
}

function snapshotJob(snapshot: SnapshotPlan): ChunkJob {
  return {
    chunks: snapshot.chunks,
    isAllOrNothing: false,
    workOn: (chunk, pass, retry) => chunkSteps.snapshotChunk.executeWithOptions({ summary: chunkSummary(snapshot, chunk, pass), retry }, [{ snapshot, chunk, ...pass }]),
    escalate: noSagas,
  };
}

async function plan(run: SnapshotRun, input: SnapshotInput): Promise<SnapshotPlan> {
  enterPhase(run, 'planning');
  const runId = workflowInfo().firstExecutionRunId;
  const walk = (): Promise<SnapshotPlan> => withAttempts(attemptsFor(run), (retry) => chunkSteps.planSnapshot.executeWithOptions({ summary: 'walk through the sources', retry }, [{ input, runId }]));
  return patiently(run, 'plan', walk);
}

/** A snapshot for which nothing new had space says nothing that the one before does not, and would be the parent of the next one. */
function refuseWithoutCopies({ backedUp, failuresByType, input }: SnapshotRun): void {
  const { NoSpace: withoutSpace = 0 } = failuresByType;
  if (backedUp > 0 || withoutSpace === 0 || !patched('nothing-new-is-not-published')) return;
  throw ApplicationFailure.nonRetryable(`None of the ${withoutSpace} new files has space in ${input.backupDir}, so that there is nothing to publish. ${failureKinds.NoSpace.hint}`, 'NoSpace', {});
}

/** A cancellation ends the wait for a repository, but not the step: what is published cannot be undone. */
async function seal(run: SnapshotRun, snapshot: SnapshotPlan): Promise<SealedSnapshot> {
  refuseWithoutCopies(run);
  enterPhase(run, 'sealing');
  const request = { snapshot, startedAt: new Date(run.startedAtMs).toISOString(), endedAt: new Date().toISOString(), known: journalsOf(run) };
  const publish = (): Promise<SealedSnapshot> => withAttempts(attemptsFor(run), (retry) => chunkSteps.sealSnapshot.executeWithOptions({ summary: 'write metadata and checksums, and publish', retry }, [request]));
  return patiently(run, 'seal', () => CancellationScope.nonCancellable(publish));
}
