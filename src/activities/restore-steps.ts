import { failureTypeOf, type FailureType } from '../failures';
import type { RestoreInput } from '../restore-models';
import type { ChunkTask } from '../storage/batch/chunk';
import { placesBeside, type RunGround } from '../storage/batch/open-run';
import type { Room } from '../storage/batch/room';
import { runHolder, type RunLocation } from '../storage/batch/run-directory';
import type { JournalSums } from '../core/journal-sums';
import type { FinishedRestore } from '../storage/snapshot/restore/finished-restore';
import type { InspectedRestore } from '../storage/snapshot/restore/choose-holder';
import type { DirectoryIdentity } from '../storage/staging';
import type { StagingRegistry } from '../storage/staging-registry';
import { skipTexts, type RestoreSettings, type SkipReason } from '../storage/snapshot/restore/request';
import { attemptNameOf } from './attempt-name';
import { countsByType, fullOf, illnessRule, passingOf, resultOf, type ChunkResult, type FailedFile } from './chunk-result';
import { canSyncFileSystem, FileSystemSync } from './file-system-sync';
import { attempt, type ActivityDependencies, type Attempted } from './operation';
import { readableRoot, type AllowedRoots } from './roots';
import { notedProof, ownRun, provedLocation, type OwnRun } from './run-location';
import { runSteps } from './run-step';

/** A planned restore as history keeps it: references and numbers. */
export interface RestorePlan {
  readonly input: Omit<RestoreInput, 'paths'>;
  readonly location: Pick<RunLocation, 'destination' | 'runId' | 'beside' | 'proof'>;
  /** The whole name of the snapshot that was meant. */
  readonly snapshot: string;
  readonly ground: RunGround;
  /** Where the run stages besides, each a directory that was there; absent where its own directory reaches everything. */
  readonly places?: readonly DirectoryIdentity[];
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
  /** Entries whose recorded owner, or set-user-id, set-group-id and sticky bits, are left out. */
  readonly rightsLeftOut: number;
  /** What the copies need, and what was free when it was planned, where that was least. */
  readonly room?: Room;
}

/** What a restore came to, as history keeps it. */
export interface RestoreEnd extends Attempted, Pick<FinishedRestore, 'entries' | 'restored' | 'unchanged' | 'failed' | 'skipped' | 'sizeBytes' | 'verifiedFrom' | 'failuresPath'> {
  readonly failuresByType: Readonly<Partial<Record<FailureType, number>>>;
  readonly sample: readonly FailedFile[];
  readonly skippedByReason: Readonly<Partial<Record<SkipReason, number>>>;
  readonly skippedSample: readonly { readonly path: string; readonly reason: string }[];
}

/** The steps of a restore. Each is safe to repeat and to overlap with an earlier attempt of itself. */
export function createRestoreSteps(dependencies: ActivityDependencies) {
  const { roots, pool, registry } = dependencies;
  const syncs = new FileSystemSync();
  return {
    /** Finds the snapshot, makes the run's directory in the target and writes the plan. */
    async planRestore(request: { input: RestoreInput; runId: string }): Promise<RestorePlan & Attempted> {
      const { paths, ...input } = request.input;
      const { repository, snapshot, target, overwrite, withOwners } = input;
      const { location: asked, owner } = await ownRun(dependencies, { destination: target, runId: request.runId });
      const repositoryRoot = readableRoot(roots, repository);
      return runSteps(pool, async (run) => {
        await run('findSnapshot', { root: repositoryRoot, repository, wanted: snapshot });
        await dependencies.sweepOthers(asked.destination, asked.runId);
        const wanted = { repositoryRoot, repository, snapshot, paths, overwrite, withOwners };
        const { ground, beside } = inspectedOf(registry, asked) ?? (await run('inspectRestore', { location: asked, ...wanted }));
        const location = { ...asked, ...(beside === undefined ? {} : { beside }) };
        const earlier = notedProof(dependencies, location);
        const entry = { kind: 'run' as const, owner, location, ground, rollBack: false, chunks: null, facts: {} };
        registry.add(entry);
        await run('openRun', { location, owner, ground, needsHardLinks: false });
        const { snapshot: name, files, sizeBytes, chunks, rootAttributes, rightsLeftOut, places: holders = [], needs = [], planSha256 } = await run('planRestore', { location, owner, ...wanted });
        const proved = provedLocation(location, { planSha256 }, earlier);
        const grounds = await Promise.all(holders.map((holder) => run('inspectRun', { location: { ...location, beside: holder } })));
        const places = grounds.map(({ destination }) => destination);
        const room = await run('requireRestoreRoom', { location: proved, owner, chunks, needs, source: { repositoryRoot, repository, snapshot: name } });
        // Before the first of them is made.
        registry.add({ ...entry, location: proved, rootAttributes, places });
        for (const place of placesBeside(location, places)) await run('openPlace', { ...place, owner });
        return { input, location: proved, snapshot: name, ground: { ...ground, missingDirectories: [] }, ...(places.length === 0 ? {} : { places }), files, sizeBytes, chunks, rightsLeftOut, room, attempt: attempt() };
      });
    },

    /** Restores one chunk of files. A chunk whose journal is there is done. */
    async restoreChunk({ restore, chunk, pass, journalTag }: { restore: RestorePlan; chunk: number; pass: number; journalTag?: string }): Promise<ChunkResult> {
      const { location, owner } = await ownRestore(dependencies, restore);
      const settings = settingsOf(restore, location, roots);
      return runSteps(pool, async (run) => {
        const before = pass === 0 ? undefined : await run('readOutcome', { location, owner, chunk });
        const only = before === undefined ? [] : passingOf(before).map(({ index }) => index);
        const task: ChunkTask<RestoreSettings> = { settings, chunk, attemptName: attemptNameOf(chunk), owner, illness: illnessRule(), pass, only, journalTag };
        const report = await run('restoreChunk', task, syncs.since(...holdersOf(settings)));
        const result = resultOf(report, location.destination, '', await fullOf(report, settings, run));
        // Failed files are tried again together: the saga of a single file knows nothing of snapshots.
        return { ...result, singles: result.passing > 0 ? null : [] };
      });
    },

    /** Makes what is no file, and adds everything up. */
    async finishRestore({ restore, cancelled, known }: { restore: RestorePlan; cancelled: boolean; known?: JournalSums }): Promise<RestoreEnd> {
      const { location, owner } = await ownRestore(dependencies, restore);
      const settings = settingsOf(restore, location, roots);
      const { ground, chunks } = restore;
      const finished = await runSteps(pool, (run) => run('finishRestore', { settings, owner, ground, chunks, known, cancelled }, syncs.since(...holdersOf(settings))));
      return { ...endOf(finished), attempt: attempt() };
    },

    /** Leaves nothing of the run behind. A step of its own: once the summary is gone, only history knows it. */
    async closeRestore({ restore, failuresPath }: { restore: RestorePlan; failuresPath: string | null }): Promise<Attempted> {
      const { location, owner } = await ownRestore(dependencies, restore);
      const rootAttributes = registry.findRun(location.runId)?.rootAttributes ?? null;
      const places = placesBeside(location, restore.places);
      await runSteps(pool, (run) => run('closeRestore', { location, owner, ground: restore.ground, places, failuresPath, rootAttributes }));
      registry.remove(location.runId);
      return { attempt: attempt() };
    },
  };
}

/** As `ownRun`; where the run's directory is, the requests' schema keeps at or below the destination. */
async function ownRestore(dependencies: ActivityDependencies, { location: asked }: RestorePlan): Promise<OwnRun> {
  const { location, owner } = await ownRun(dependencies, asked);
  return { location: { ...location, ...(asked.beside === undefined ? {} : { beside: asked.beside }) }, owner };
}

/** What an earlier attempt has found. */
function inspectedOf(registry: StagingRegistry, { destination, runId }: RunLocation): InspectedRestore | undefined {
  const entry = registry.findRun(runId);
  return entry?.location.destination === destination ? { ground: entry.ground, beside: entry.location.beside } : undefined;
}

/** One directory on each file system that a restore writes to. */
function holdersOf({ location, places = [] }: RestoreSettings): string[] {
  return [location, ...places].map(runHolder);
}

function settingsOf({ input, snapshot, ground, places: holders }: RestorePlan, location: RunLocation, roots: AllowedRoots): RestoreSettings {
  const { repository, verifyBackup, verifyFrom, overwrite } = input;
  const places = placesBeside(location, holders).map((place) => place.location);
  return {
    location,
    ...(places.length === 0 ? {} : { places }),
    repositoryRoot: readableRoot(roots, repository),
    repository,
    snapshot,
    overwrite,
    ground,
    verify: verifyBackup ? verifyFrom : 'none',
    keepPrevious: false,
    syncEach: ![location, ...places].map(runHolder).every(canSyncFileSystem),
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
