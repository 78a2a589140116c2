import { Context } from '@temporalio/activity';
import { boundedText } from '../core/bounded-text';
import { snapshotName } from '../core/snapshot-name';
import type { SnapshotInput } from '../snapshot-models';
import type { ChunkSettings, ChunkTask } from '../storage/batch/chunk';
import type { JournalSums } from '../core/journal-sums';
import type { RunOwner } from '../storage/batch/open-run';
import type { RunLocation } from '../storage/batch/run-directory';
import type { DamagedCopies } from '../storage/snapshot/damaged-copies';
import type { Room } from '../storage/batch/room';
import type { SnapshotFacts } from '../storage/snapshot/seal-snapshot';
import type { SnapshotCounts, SnapshotRecord } from '../storage/snapshot/snapshot-record';
import { version } from '../version';
import { attemptNameOf } from './attempt-name';
import { failuresOf, fullOf, illnessRule, passingOf, plannedFailures, resultOf, type ChunkResult, type PlannedFailures } from './chunk-result';
import { canSyncFileSystem, FileSystemSync } from './file-system-sync';
import { attempt, type ActivityDependencies, type Attempted } from './operation';
import { sourceRoot, type AllowedRoots } from './roots';
import { groundOf } from './batch-steps';
import { isFirstExecution, notedProof, ownSnapshotRun, provedLocation } from './run-location';
import { runStep, runSteps } from './run-step';

/** A planned snapshot as history keeps it: references and numbers. */
export interface SnapshotPlan {
  readonly input: Omit<SnapshotInput, 'sources' | 'excludes'>;
  readonly location: Pick<RunLocation, 'destination' | 'runId' | 'proof'>;
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
  /** What the copies need, and what was free when it was planned. */
  readonly room?: Room;
  /** Entries that could not even be planned. */
  readonly failures: PlannedFailures;
}

/** What a snapshot came to, as history keeps it. */
export interface SealedSnapshot extends Attempted {
  readonly snapshot: string;
  readonly status: 'complete' | 'partial';
  readonly parent: string | null;
  readonly counts: SnapshotCounts;
  readonly verifiedFrom: 'device' | 'cache' | null;
  readonly leftOut: readonly string[];
  readonly notKept: readonly string[];
  /** Copies of the parent that were made afresh. Absent where none were. */
  readonly damagedCopies?: DamagedCopies;
  /** Sources of which too little was found. Not answered by earlier workers. */
  readonly emptied?: PlannedFailures;
  /** What only the end has found to fail; counted with the others. Not answered by earlier workers. */
  readonly late?: PlannedFailures;
  /** The first few patterns that left nothing out. Not answered by earlier workers. */
  readonly idleExcludes?: readonly string[];
  /** Not answered by earlier workers. */
  readonly futureSnapshots?: readonly string[];
}

/** What undo came to. Earlier workers answer nothing. */
export interface DiscardedSnapshot {
  readonly published: SealedSnapshot | null;
}

/** By which files are chosen and compared. */
function rulesOf({ excludeCaches, maxFileSizeBytes, oneFileSystem, host, rehash, parent, allowMissing, allowEmpty }: SnapshotPlan['input'], excludes: readonly string[]) {
  return { excludes: { patterns: excludes, caches: excludeCaches, maxSizeBytes: maxFileSizeBytes }, oneFileSystem, host, rehash, parent, allowMissing, allowEmpty };
}

/** The steps of a snapshot. Each is safe to repeat and to overlap with an earlier attempt of itself. */
export function createSnapshotSteps(dependencies: ActivityDependencies) {
  const { roots, pool, registry } = dependencies;
  const syncs = new FileSystemSync();
  return {
    /** Finds the repository, makes the run's directory in it and writes the plan. */
    async planSnapshot(request: { input: SnapshotInput; runId: string }): Promise<SnapshotPlan & Attempted> {
      const { sources, excludes, ...input } = request.input;
      const { location, owner } = await ownSnapshotRun(dependencies, { destination: input.repository, runId: request.runId });
      const walked = sources.map((path) => ({ path, root: sourceRoot(roots, path) }));
      return runSteps(pool, async (run) => {
        await run('openRepository', { root: location.root, repository: input.repository });
        const published = isFirstExecution(owner) ? await run('publishedSnapshot', { location, owner }) : undefined;
        if (published !== undefined) return planOfPublished(input, location, published);
        await dependencies.sweepOthers(location.destination, location.runId);
        const ground = groundOf(registry, location) ?? (await run('inspectRun', { location }));
        const earlier = notedProof(dependencies, location);
        const entry = { kind: 'run' as const, owner, location, ground, rollBack: true, chunks: null, facts: {} };
        registry.add(entry);
        await run('openRun', { location, owner, ground, needsHardLinks: false });
        const asked = {
          ...{ location, owner, sources: walked, ...rulesOf(input, excludes) },
          leaveOut: [input.repository, registry.stateDirectory],
          syncEach: !canSyncFileSystem(location.destination),
        };
        const planned = await run('planSnapshot', asked, syncs.since(location.destination));
        const proved = provedLocation(location, planned, earlier);
        registry.add({ ...entry, location: proved });
        const room = planned.needed && (await run('requireSnapshotRoom', { location: proved, owner, needed: planned.needed }));
        return { ...numbersOf(planned), input, location: proved, ...(room === undefined ? {} : { room }), failures: plannedFailures(planned), attempt: attempt() };
      });
    },

    /** Takes one chunk of files into the snapshot. A chunk whose journal is there is done. */
    async snapshotChunk({ snapshot, chunk, pass, journalTag }: { snapshot: SnapshotPlan; chunk: number; pass: number; journalTag?: string }): Promise<ChunkResult> {
      const { location, owner } = await ownSnapshotRun(dependencies, snapshot.location);
      const settings = settingsOf(snapshot, location, roots);
      return runSteps(pool, async (run) => {
        const before = pass === 0 ? undefined : await run('readSnapshotOutcome', { location, owner, chunk });
        const only = before === undefined ? [] : passingOf(before).map(({ index }) => index);
        const task: ChunkTask = { settings, chunk, attemptName: attemptNameOf(chunk), owner, illness: illnessRule(), pass, only, journalTag };
        const report = await run('snapshotChunk', task, syncs.since(location.destination));
        const result = resultOf(report, location.destination, '', await fullOf(report, settings, run));
        // Failed files are tried again together: a saga publishes by itself, and a snapshot only as a whole.
        return { ...result, singles: result.passing > 0 ? null : [] };
      });
    },

    /** Completes the snapshot and publishes it. */
    async sealSnapshot({ snapshot, startedAt, endedAt, known }: { snapshot: SnapshotPlan; startedAt: string; endedAt: string; known?: JournalSums }): Promise<SealedSnapshot> {
      const { location, owner } = await ownSnapshotRun(dependencies, snapshot.location);
      const facts = factsOf(snapshot, owner, { startedAt, endedAt });
      const { late, idleExcludes, ...sealed } = await runSteps(pool, (run) => run('sealSnapshot', { location, owner, facts, known, settings: settingsOf(snapshot, location, roots) }, syncs.since(location.destination)));
      registry.remove(location.runId);
      const futureSnapshots = await runStep(pool, 'futureSnapshots', { root: location.root, repository: location.destination, limit: MOST_FUTURE });
      return { ...sealedOf(sealed), late: plannedFailures(late), idleExcludes: idleExcludes.map((pattern) => boundedText(pattern, MAX_PATTERN_BYTES)), futureSnapshots, attempt: attempt() };
    },

    /** Undo: nothing of the run stays, unless it has published its snapshot, as history need not know: then answers that. */
    async discardSnapshot({ repository, runId, startedAt }: { repository: string; runId: string; startedAt?: string }): Promise<DiscardedSnapshot> {
      const own = await ownSnapshotRun(dependencies, { destination: repository, runId });
      const published = await runStep(pool, 'discardSnapshot', { ...own, startedAt: isFirstExecution(own.owner) ? undefined : startedAt });
      registry.remove(runId);
      return { published: published === undefined ? null : { ...sealedOf(published), attempt: attempt() } };
    },
  };
}

/**
 * The plan of a run that has published its snapshot already, which a server asks for whose database was put back to an
 * earlier copy: there is nothing left to do but to say so.
 */
function planOfPublished(input: SnapshotPlan['input'], location: RunLocation, { name, counts: { files, sizeBytes } }: SnapshotRecord): SnapshotPlan & Attempted {
  Context.current().log.info('This run has published its snapshot already: it is adopted', { snapshot: name, repository: location.destination });
  return { input, location, files, sizeBytes, chunks: 0, failures: failuresOf([]), attempt: attempt() };
}

/** What the record says of the run. */
function factsOf({ input: { operationId, host, tags, metadata } }: SnapshotPlan, { workflowId, runId }: RunOwner, times: Pick<SnapshotFacts, 'startedAt' | 'endedAt'>): SnapshotFacts {
  const name = snapshotName(Date.parse(times.startedAt), operationId);
  return { name, id: operationId.slice(0, 8), host, tags, ...times, operationId, metadata, workflowId, runId, programVersion: version };
}

/** A record as history keeps it. */
function sealedOf({ name, status, parent, counts, verifiedFrom, leftOut, notKept, damagedCopies, emptied = [] }: SnapshotRecord): Omit<SealedSnapshot, 'attempt'> {
  return { snapshot: name, status, parent, counts, verifiedFrom, emptied: failuresOf(emptied), leftOut: leftOut.slice(0, MOST_LEFT_OUT), notKept, damagedCopies: damagedCopies && { ...damagedCopies, sample: damagedCopies.sample.slice(0, MOST_DAMAGED) } };
}

function numbersOf({ files, sizeBytes, chunks }: Pick<SnapshotPlan, 'files' | 'sizeBytes' | 'chunks'>) {
  return { files, sizeBytes, chunks };
}

/** Paths of a few kilobytes each. */
const MOST_LEFT_OUT = 5;
const MOST_FUTURE = 5;
const MAX_PATTERN_BYTES = 600;
const MOST_DAMAGED = 5;

function settingsOf({ input }: SnapshotPlan, location: RunLocation, roots: AllowedRoots): ChunkSettings {
  return {
    location,
    sourceRoots: roots.sources,
    verify: input.verifyBackup ? input.verifyFrom : 'none',
    onSourceChanged: input.onSourceChanged,
    keepPrevious: false,
    syncEach: !canSyncFileSystem(location.destination),
  };
}
