import { failure, failureTypeOf, type FailureType } from '../failures';
import { RestoreInput } from '../restore-models';
import type { ChunkTask } from '../storage/batch/chunk';
import type { JournalSums } from '../core/journal-sums';
import type { RunLocation } from '../storage/batch/run-directory';
import type { RunGround } from '../storage/batch/open-run';
import type { Attributes } from '../storage/snapshot/restore/attributes';
import type { FinishedRestore } from '../storage/snapshot/restore/finished-restore';
import { skipTexts, type RestoreSettings, type SkipReason } from '../storage/snapshot/restore/request';
import { parseSnapshotName } from '../core/snapshot-name';
import { attemptNameOf } from './attempt-name';
import { countsByType, illnessRule, passingOf, resultOf, type ChunkResult, type FailedFile } from './chunk-result';
import { canSyncFileSystem, FileSystemSync } from './file-system-sync';
import { attempt, currentOwner, parseAs, type ActivityDependencies, type Attempted } from './operation';
import { readableRoot, type AllowedRoots } from './roots';
import { provedLocation, runLocation } from './run-location';
import { runSteps } from './run-step';

/** A planned restore as history keeps it: references and numbers. */
export interface RestorePlan {
  readonly input: Omit<RestoreInput, 'paths'>;
  readonly location: Pick<RunLocation, 'destination' | 'runId' | 'proof'>;
  /** The whole name of the snapshot that was meant. */
  readonly snapshot: string;
  readonly ground: RunGround;
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
  readonly rootAttributes: Attributes | null;
}

/** What a restore came to, as history keeps it. */
export interface RestoreEnd extends Attempted, Pick<FinishedRestore, 'entries' | 'restored' | 'unchanged' | 'failed' | 'skipped' | 'sizeBytes' | 'verifiedFrom' | 'failuresPath'> {
  readonly failuresByType: Readonly<Partial<Record<FailureType, number>>>;
  readonly sample: readonly FailedFile[];
  readonly skippedByReason: Readonly<Partial<Record<SkipReason, number>>>;
  readonly skippedSample: readonly { readonly path: string; readonly reason: string }[];
}

/** The steps of a restore. Each is safe to repeat and to overlap with an earlier attempt of itself. */
export function createRestoreSteps({ roots, pool, clusterId, registry }: ActivityDependencies) {
  const syncs = new FileSystemSync();
  return {
    /** Parses the input, finds the snapshot, makes the run's directory in the target and writes the plan. */
    async planRestore(request: { input: unknown; runId: string }): Promise<RestorePlan & Attempted> {
      const { paths, ...input } = parseAs(RestoreInput, request.input);
      const { repository, snapshot, target, overwrite } = input;
      const location = runLocation(roots, { destination: target, runId: request.runId });
      const repositoryRoot = readableRoot(roots, repository);
      const owner = { ...currentOwner(clusterId), runId: request.runId };
      return runSteps(pool, async (run) => {
        await run('findSnapshot', { repository, wanted: snapshot });
        const ground = registry.findRun(request.runId)?.ground ?? (await run('inspectRun', { location }));
        registry.add({ kind: 'run', owner, location, ground, rollBack: false, chunks: null, facts: {} });
        await run('openRun', { location, owner, ground, needsHardLinks: false });
        const { snapshot: name, files, sizeBytes, chunks, rootAttributes, planSha256 } = await run('planRestore', { location, repositoryRoot, repository, snapshot, paths, overwrite });
        return { input, location: provedLocation(location, { planSha256 }), snapshot: name, ground: { ...ground, missingDirectories: [] }, files, sizeBytes, chunks, rootAttributes, attempt: attempt() };
      });
    },

    /** Restores one chunk of files. A chunk whose journal is there is done. */
    async restoreChunk({ restore, chunk, pass, journalTag }: { restore: RestorePlan; chunk: number; pass: number; journalTag?: string }): Promise<ChunkResult> {
      const settings = settingsOf(restore, roots);
      const { location } = settings;
      const { workflowId } = currentOwner('');
      return runSteps(pool, async (run) => {
        const before = pass === 0 ? undefined : await run('readOutcome', { location, chunk, workflowId });
        const only = before === undefined ? [] : passingOf(before).map(({ index }) => index);
        const task: ChunkTask<RestoreSettings> = { settings, chunk, attemptName: attemptNameOf(chunk), workflowId, illness: illnessRule(), pass, only, journalTag };
        const result = resultOf(await run('restoreChunk', task, syncs.since(location.destination)), location.destination, '');
        // Failed files are tried again together: the saga of a single file knows nothing of snapshots.
        return { ...result, singles: result.passing > 0 ? null : [] };
      });
    },

    /** Makes what is no file, and adds everything up. */
    async finishRestore({ restore, cancelled, known }: { restore: RestorePlan; cancelled: boolean; known?: JournalSums }): Promise<RestoreEnd> {
      const settings = settingsOf(restore, roots);
      const { ground, chunks } = restore;
      const finished = await runSteps(pool, (run) => run('finishRestore', { settings, ground, chunks, known, cancelled }, syncs.since(settings.location.destination)));
      return { ...endOf(finished), attempt: attempt() };
    },

    /** Leaves nothing of the run behind. A step of its own: once the summary is gone, only history knows it. */
    async closeRestore({ restore, failuresPath }: { restore: RestorePlan; failuresPath: string | null }): Promise<Attempted> {
      const location = runLocation(roots, restore.location);
      const { ground, rootAttributes } = restore;
      await runSteps(pool, (run) => run('closeRestore', { location, ground, failuresPath, rootAttributes }));
      registry.remove(location.runId);
      return { attempt: attempt() };
    },
  };
}

/** The snapshot's name has come back from a workflow. @throws ApplicationFailure `InvalidInput` and as `runLocation` */
function settingsOf({ input, location: planned, snapshot }: RestorePlan, roots: AllowedRoots): RestoreSettings {
  const location = runLocation(roots, planned);
  if (parseSnapshotName(snapshot) === undefined) throw failure('InvalidInput', `${snapshot} is no name of a snapshot`);
  const { repository, verifyBackup, verifyFrom, overwrite } = input;
  return {
    location,
    repositoryRoot: readableRoot(roots, repository),
    repository,
    snapshot,
    overwrite,
    verify: verifyBackup ? verifyFrom : 'none',
    keepPrevious: false,
    syncEach: !canSyncFileSystem(location.destination),
  };
}

function endOf({ failures, failureSample, skippedByReason, skippedSample, ...sums }: FinishedRestore): Omit<RestoreEnd, 'attempt'> {
  const { entries, restored, unchanged, failed, skipped, sizeBytes, verifiedFrom, failuresPath } = sums;
  return {
    ...{ entries, restored, unchanged, failed, skipped, sizeBytes, verifiedFrom, failuresPath, failuresByType: countsByType(failures), skippedByReason },
    sample: failureSample.map(({ path, code, side, message }) => ({ path, type: failureTypeOf(code, side), message })),
    skippedSample: skippedSample.map(({ path, reason }) => ({ path, reason: skipTexts[reason] })),
  };
}
