import { Context } from '@temporalio/activity';
import { existsSync, realpathSync } from 'node:fs';
import { listDirectory } from '../config';
import { isBelow } from '../core/roots';
import type { BatchBackupInput } from '../batch-models';
import { failure } from '../failures';
import type { ChunkSettings, ChunkTask } from '../storage/batch/chunk';
import type { Amendment } from '../storage/batch/write-journal';
import type { RunGround } from '../storage/batch/open-run';
import type { Room } from '../storage/batch/room';
import type { RunLocation } from '../storage/batch/run-directory';
import type { RunSummary } from '../storage/batch/seal-run';
import type { StagingRegistry } from '../storage/staging-registry';
import { attemptNameOf } from './attempt-name';
import { attemptsSoFar } from './attempts';
import { fullOf, illnessRule, passingOf, resultOf, type ChunkResult } from './chunk-result';
import { canSyncFileSystem, FileSystemSync } from './file-system-sync';
import { attempt, type ActivityDependencies, type Attempted } from './operation';
import { sourceRoot, type AllowedRoots } from './roots';
import { isFirstExecution, notedProof, ownRun, provedLocation } from './run-location';
import { runStep, runSteps } from './run-step';

/** A planned batch as history keeps it: references and numbers. */
export interface Batch {
  readonly input: Omit<BatchBackupInput, 'sources' | 'sourceList'>;
  readonly location: Pick<RunLocation, 'destination' | 'runId' | 'proof'>;
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
  readonly duplicates: number;
  /** What the copies need, and what was free when it was planned. */
  readonly room?: Room;
  /** Parents of the backup directory that had to be created, and itself. */
  readonly createdDirectories: readonly string[];
}

export interface ChunkRequest {
  readonly batch: Batch;
  readonly chunk: number;
  /** 0 for the whole chunk; further passes try again what failed in passing. */
  readonly pass: number;
  /** Of the journal that the pass before has written. */
  readonly journalTag?: string;
  /** Whose targets they are, for the locks of files that get a saga of their own. */
  readonly storage: string;
}

/** The forward steps of a batch. Each is safe to repeat and to overlap with an earlier attempt of itself. */
export function createBatchSteps(dependencies: ActivityDependencies) {
  const { roots, pool, registry } = dependencies;
  const syncs = new FileSystemSync();

  return {
    /** Makes the run's directory and writes the plan. */
    async planBatch(request: { input: BatchBackupInput; runId: string }): Promise<Batch & Attempted> {
      const { sources, sourceList, ...input } = request.input;
      const { location, owner } = await ownRun(dependencies, { destination: input.backupDir, runId: request.runId });
      sources?.forEach((path) => sourceRoot(roots, path));
      const list = sourceList === undefined ? { sources: sources ?? [] } : { ...sourceList, ...placeOf(dependencies, sourceList.path) };
      const { layout, rehash } = input;
      return runSteps(pool, async (run) => {
        const isAgain = !isFirstExecution(owner);
        const ended = isAgain ? undefined : await run('endedRun', { location, owner });
        if (ended !== undefined) return planOfEnded(input, location, ended);
        await dependencies.sweepOthers(location.destination, location.runId);
        const ground = groundOf(registry, location) ?? (await run('inspectRun', { location }));
        const createdDirectories = createdFor(location, ground);
        const earlier = notedProof(dependencies, location);
        const entry = { kind: 'run' as const, owner, location, ground, rollBack: input.onFailure === 'rollBack', chunks: null, facts: factsOf(input, owner.workflowId) };
        registry.add(entry);
        await run('openRun', { location, owner, ground, needsHardLinks: entry.rollBack, isAgain });
        const { planSha256, needed, ...planned } = await run('planBatch', { location, owner, list, layout, rehash });
        const proved = provedLocation(location, { planSha256 }, earlier);
        const room = needed && (await run('requireBatchRoom', { location: proved, owner, chunks: planned.chunks, needed }));
        registry.add({ ...entry, location: proved, chunks: planned.chunks });
        return { input, location: proved, createdDirectories, ...planned, ...(room === undefined ? {} : { room }), attempt: attempt() };
      });
    },

    /** Copies, verifies and publishes one chunk, and writes its journal. A chunk whose journal is there is done. */
    async backupChunk({ batch, chunk, pass, journalTag, storage }: ChunkRequest): Promise<ChunkResult> {
      const { location, owner } = await ownRun(dependencies, batch.location);
      const settings = settingsOf(batch, location, roots);
      return runSteps(pool, async (run) => {
        const before = pass === 0 ? undefined : await run('readOutcome', { location, owner, chunk });
        const only = before === undefined ? [] : passingOf(before).map(({ index }) => index);
        const task: ChunkTask = { settings, chunk, attemptName: attemptNameOf(chunk), owner, illness: illnessRule(), pass, only, journalTag };
        const report = await run('backUpChunk', task, syncs.since(location.destination));
        return resultOf(report, location.destination, storage, await fullOf(report, settings, run));
      });
    },

    /** Writes down what became of files that had a saga of their own. */
    async amendChunk({ batch, chunk, amendments, journalTag, storage }: { batch: Batch; chunk: number; amendments: readonly Amendment[]; journalTag?: string; storage: string }): Promise<ChunkResult> {
      const own = await ownRun(dependencies, batch.location);
      return resultOf(await runStep(pool, 'amendJournal', { ...own, chunk, amendments, journalTag }), own.location.destination, storage);
    },
  };
}

/**
 * The plan of a run that has ended already, which a server asks for whose database was put back to an earlier copy: there is
 * nothing left to do but to say what it came to.
 */
function planOfEnded(input: Batch['input'], location: RunLocation, { files, sizeBytes }: RunSummary): Batch & Attempted {
  Context.current().log.info('This run has ended already: its record is adopted', { destination: location.destination, runId: location.runId });
  return { input, location, files, sizeBytes, chunks: 0, duplicates: 0, createdDirectories: [], attempt: attempt() };
}

/** A list may lie where sources lie, or where a command on this host has put it: links in the way to that are the worker's own. */
function placeOf({ roots, registry }: ActivityDependencies, path: string): { readonly root: string; readonly path: string } {
  const lists = listDirectory(registry.stateDirectory);
  if (!isBelow(lists, path) || !existsSync(lists)) return { root: sourceRoot(roots, path), path };
  const root = realpathSync(lists);
  return { root, path: `${root}${path.slice(lists.length)}` };
}

/** What the destination was before the run, as an earlier attempt saw it. */
export function groundOf(registry: StagingRegistry, { destination, runId }: RunLocation): RunGround | undefined {
  const entry = registry.findRun(runId);
  return entry?.location.destination === destination ? entry.ground : undefined;
}

function settingsOf({ input }: Batch, location: RunLocation, roots: AllowedRoots): ChunkSettings {
  return {
    location,
    sourceRoots: roots.sources,
    verify: input.verifyBackup ? input.verifyFrom : 'none',
    onSourceChanged: input.onSourceChanged,
    keepPrevious: input.onFailure === 'rollBack',
    // Of the destination itself: another disk may be mounted there, below the root.
    syncEach: !canSyncFileSystem(location.destination),
  };
}

/** What of a run's input its record keeps. */
function factsOf({ operationId, metadata, backupDir, layout }: Batch['input'], workflowId: string) {
  return { operationId, metadata, backupDir, layout, workflowId, startedAt: new Date().toISOString() };
}

/** Their names travel with every step of the run. */
const MAX_MISSING_BYTES = 16 * 1024;

/** What has to be created for the backup directory itself. */
function createdFor({ destination }: RunLocation, { missingDirectories }: RunGround): string[] {
  const created = missingDirectories.filter((directory) => isBelow(directory, destination));
  if (Buffer.byteLength(JSON.stringify(created)) <= MAX_MISSING_BYTES) return created;
  throw failure('TargetInvalid', `Directory ${destination} lies below ${created.length} directories that do not exist; create some of them first`, attemptsSoFar());
}
