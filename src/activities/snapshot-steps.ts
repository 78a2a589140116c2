import { boundedText } from '../core/bounded-text';
import { snapshotName } from '../core/snapshot-name';
import type { SnapshotInput } from '../snapshot-models';
import type { ChunkSettings, ChunkTask } from '../storage/batch/chunk';
import type { JournalSums } from '../core/journal-sums';
import type { RunLocation } from '../storage/batch/run-directory';
import type { DamagedCopies } from '../storage/snapshot/damaged-copies';
import type { SnapshotFacts } from '../storage/snapshot/seal-snapshot';
import type { SnapshotCounts } from '../storage/snapshot/snapshot-record';
import { version } from '../version';
import { attemptNameOf } from './attempt-name';
import { failuresOf, fullOf, illnessRule, passingOf, plannedFailures, resultOf, type ChunkResult, type PlannedFailures } from './chunk-result';
import { canSyncFileSystem, FileSystemSync } from './file-system-sync';
import { attempt, type ActivityDependencies, type Attempted } from './operation';
import { sourceRoot, type AllowedRoots } from './roots';
import { groundOf } from './batch-steps';
import { notedProof, ownSnapshotRun, provedLocation } from './run-location';
import { runStep, runSteps } from './run-step';

/** A planned snapshot as history keeps it: references and numbers. */
export interface SnapshotPlan {
  readonly input: Omit<SnapshotInput, 'sources' | 'excludes'>;
  readonly location: Pick<RunLocation, 'destination' | 'runId' | 'proof'>;
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
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

/** The steps of a snapshot. Each is safe to repeat and to overlap with an earlier attempt of itself. */
export function createSnapshotSteps(dependencies: ActivityDependencies) {
  const { roots, pool, registry } = dependencies;
  const syncs = new FileSystemSync();
  return {
    /** Finds the repository, makes the run's directory in it and writes the plan. */
    async planSnapshot(request: { input: SnapshotInput; runId: string }): Promise<SnapshotPlan & Attempted> {
      const { sources, excludes, ...input } = request.input;
      const { oneFileSystem, host, rehash, allowMissing, allowEmpty } = input;
      const { location, owner } = await ownSnapshotRun(dependencies, { destination: input.repository, runId: request.runId });
      const walked = sources.map((path) => ({ path, root: sourceRoot(roots, path) }));
      return runSteps(pool, async (run) => {
        await run('openRepository', { root: location.root, repository: input.repository });
        const ground = groundOf(registry, location) ?? (await run('inspectRun', { location }));
        const earlier = notedProof(dependencies, location);
        const entry = { kind: 'run' as const, owner, location, ground, rollBack: true, chunks: null, facts: {} };
        registry.add(entry);
        await run('openRun', { location, owner, ground, needsHardLinks: false });
        const request = {
          ...{ location, owner, sources: walked },
          excludes: { patterns: excludes, caches: input.excludeCaches, maxSizeBytes: input.maxFileSizeBytes },
          leaveOut: [input.repository, registry.stateDirectory],
          ...{ oneFileSystem, host, rehash, parent: input.parent, allowMissing, allowEmpty },
          syncEach: !canSyncFileSystem(location.destination),
        };
        const planned = await run('planSnapshot', request, syncs.since(location.destination));
        const { files, sizeBytes, chunks } = planned;
        const proved = provedLocation(location, planned, earlier);
        registry.add({ ...entry, location: proved });
        return { input, location: proved, files, sizeBytes, chunks, failures: plannedFailures(planned), attempt: attempt() };
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
      const settings = settingsOf(snapshot, location, roots);
      const { operationId, host, tags, metadata } = snapshot.input;
      const name = snapshotName(Date.parse(startedAt), operationId);
      const facts: SnapshotFacts = { name, id: operationId.slice(0, 8), host, tags, startedAt, endedAt, operationId, metadata, workflowId: owner.workflowId, runId: owner.runId, programVersion: version };
      const sealed = await runSteps(pool, (run) => run('sealSnapshot', { location, owner, facts, known, settings }, syncs.since(location.destination)));
      registry.remove(location.runId);
      const futureSnapshots = await runStep(pool, 'futureSnapshots', { root: location.root, repository: location.destination, limit: MOST_FUTURE });
      const { status, parent, counts, verifiedFrom, leftOut, notKept, damagedCopies, emptied = [], late, idleExcludes } = sealed;
      return { snapshot: name, status, parent, counts, verifiedFrom, emptied: failuresOf(emptied), late: plannedFailures(late), idleExcludes: idleExcludes.map((pattern) => boundedText(pattern, MAX_PATTERN_BYTES)), leftOut: leftOut.slice(0, MOST_LEFT_OUT), notKept, damagedCopies: damagedCopies && { ...damagedCopies, sample: damagedCopies.sample.slice(0, MOST_DAMAGED) }, futureSnapshots, attempt: attempt() };
    },

    /** Undo: nothing of the run stays. */
    async discardSnapshot({ repository, runId }: { repository: string; runId: string }): Promise<void> {
      await runStep(pool, 'discardSnapshot', await ownSnapshotRun(dependencies, { destination: repository, runId }));
      registry.remove(runId);
    },
  };
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
