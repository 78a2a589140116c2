import { Context } from '@temporalio/activity';
import { fileWorkflowId } from '../workflow-ids';
import { isBelow } from '../core/roots';
import { BatchBackupInput } from '../batch-models';
import { codesOf, failureKinds, failureTypeOf, type FailureType } from '../failures';
import type { ChunkSettings, ChunkTask, IllnessRule } from '../storage/batch/chunk';
import type { Amendment, ChunkReport, FailedEntry } from '../storage/batch/journal';
import type { RunLocation } from '../storage/batch/run-directory';
import type { RunSummary } from '../storage/batch/seal-run';
import { canSyncFileSystem, FileSystemSync } from './file-system-sync';
import { attempt, currentOwner, parseAs, type ActivityDependencies, type Attempted } from './operation';
import { destinationRoot, sourceRoot } from './roots';
import { runStep, runSteps } from './run-step';

/** A planned batch as history keeps it: references and numbers. */
export interface Batch {
  readonly input: Omit<BatchBackupInput, 'sources' | 'sourceList'>;
  readonly location: RunLocation;
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
  readonly duplicates: number;
  readonly createdDirectories: readonly string[];
}

/** A file that failed in a chunk, typed. */
export interface FailedFile {
  readonly index: number;
  readonly source: string;
  readonly target: string;
  readonly type: FailureType;
  readonly message: string;
  /** Id of its own saga, should it get one: the lock of its target. */
  readonly workflowId: string;
}

export interface ChunkResult extends Attempted {
  readonly counts: ChunkReport['counts'];
  readonly sizeBytes: number;
  readonly unchangedBytes: number;
  readonly changed: number;
  readonly verifiedFrom: ChunkReport['verifiedFrom'];
  readonly failuresByType: Readonly<Partial<Record<FailureType, number>>>;
  /** The first few permanent failures. */
  readonly sample: readonly FailedFile[];
  /** Failures that may pass: the workflow gives each file a saga of its own. */
  readonly passing: readonly FailedFile[];
}

/** Transient failures in one chunk up to which files are tried one by one; more mean that the destination is ill. */
const MOST_PASSING = 20;
/** What blames the destination, for threads that know no failure types. */
const destinationCodes = {
  source: codesOf('source', (type) => failureKinds[type].blamesDestination),
  destination: codesOf('destination', (type) => failureKinds[type].blamesDestination),
};
const spaceCodes = codesOf('destination', (type) => type === 'NoSpace');

const SAMPLE = 20;
const KEEP_RUNS = 30;

/** The steps of a batch. Each is safe to repeat and to overlap with an earlier attempt of itself. */
export function createBatchSteps({ roots, pool, clusterId, registry }: ActivityDependencies) {
  const syncs = new FileSystemSync();

  return {
    /** Parses the input, makes the run's directory and writes the plan. */
    async planBatch(request: { input: unknown; runId: string }): Promise<Batch & Attempted> {
      const { sources, sourceList, ...input } = parseAs(BatchBackupInput, request.input);
      const location = { root: destinationRoot(roots, input.backupDir), destination: input.backupDir, runId: request.runId };
      sources?.forEach((path) => sourceRoot(roots, path));
      // A list may lie where sources lie, or where a command on this host has put it.
      if (sourceList !== undefined && !isBelow(registry.listDirectory, sourceList.path)) sourceRoot(roots, sourceList.path);
      const list = sources === undefined ? { path: sourceList?.path ?? '', separator: sourceList?.separator ?? 'nul' } : { sources };
      const owner = { ...currentOwner(clusterId), runId: request.runId };
      const { layout, rehash } = input;
      return runSteps(pool, async (run) => {
        const createdDirectories = await run('openRun', { location, owner });
        const planned = await run('planBatch', { location, owner, list, layout, rehash });
        return { input, location, createdDirectories, ...planned, attempt: attempt() };
      });
    },

    /** Copies, verifies and publishes one chunk, and writes its journal. A chunk whose journal is there is done. */
    async backupChunk({ batch, chunk, storage }: { batch: Batch; chunk: number; storage: string }): Promise<ChunkResult> {
      const settings = settingsOf(batch, roots.sources);
      const { attempt: number, activityId } = Context.current().info;
      const task: ChunkTask = { settings, chunk, attemptName: `${chunk}-${number}-${activityId}-${Date.now()}`, workflowId: currentOwner('').workflowId, illness: illnessRule() };
      return runSteps(pool, async (run) => resultOf(await run('backUpChunk', task, syncs.since(settings.location.destination)), batch, storage));
    },

    /** Writes down what became of files that had a saga of their own, or that nobody tries again. */
    async amendChunk({ batch, chunk, amendments, storage }: { batch: Batch; chunk: number; amendments: readonly Amendment[]; storage: string }): Promise<ChunkResult> {
      return resultOf(await runStep(pool, 'amendJournal', { location: locationOf(batch), chunk, amendments }), batch, storage);
    },

    /** The fence: from here on no chunk publishes. */
    async revokeRun({ batch }: { batch: Batch }): Promise<void> {
      await runStep(pool, 'revokeRun', { location: locationOf(batch) });
    },

    /** Undo of chunks, the last one first. */
    async undoChunks({ batch, chunks }: { batch: Batch; chunks: readonly number[] }): Promise<void> {
      await runSteps(pool, async (run) => {
        for (const chunk of chunks) await run('undoChunk', { location: locationOf(batch), chunk });
      });
    },

    /** Ends the run: manifest, failures and summary are written, working files removed. */
    async sealRun({ batch, facts }: { batch: Batch; facts: Record<string, unknown> }): Promise<RunSummary> {
      return runStep(pool, 'sealRun', { location: locationOf(batch), chunks: batch.chunks, facts, keepRuns: KEEP_RUNS });
    },
  };

  function locationOf({ location }: Batch): RunLocation {
    return { ...location, root: destinationRoot(roots, location.destination) };
  }
}

function settingsOf({ input, location }: Batch, sourceRoots: readonly string[]): ChunkSettings {
  return {
    location,
    sourceRoots,
    verify: input.verifyBackup ? input.verifyFrom : 'none',
    onSourceChanged: input.onSourceChanged,
    keepPrevious: input.onFailure === 'rollBack',
    syncEach: !canSyncFileSystem(location.root),
  };
}

/** A disk that stays full takes what fits; the files that do not are failed ones. Other illness is waited for. */
function illnessRule(): IllnessRule {
  const { attempt: number, retryPolicy } = Context.current().info;
  const isLast = number >= (retryPolicy?.maximumAttempts ?? Infinity);
  return { codes: destinationCodes, borne: isLast ? spaceCodes : [], mostFailures: MOST_PASSING };
}

function resultOf(report: ChunkReport, { location }: Batch, storage: string): ChunkResult {
  const failed = report.failed.map((entry) => typed(entry, location.destination, storage));
  const failuresByType: Partial<Record<FailureType, number>> = {};
  for (const { type } of failed) failuresByType[type] = (failuresByType[type] ?? 0) + 1;
  const passing = failed.filter(({ type }) => !failureKinds[type].permanent);
  const permanent = failed.filter(({ type }) => failureKinds[type].permanent);
  const { counts, sizeBytes, unchangedBytes, changed, verifiedFrom } = report;
  return { counts, sizeBytes, unchangedBytes, changed, verifiedFrom, failuresByType, sample: permanent.slice(0, SAMPLE), passing: passing.slice(0, MOST_PASSING), attempt: attempt() };
}

function typed({ index, source, target, failure: { code, side, message } }: FailedEntry, destination: string, storage: string): FailedFile {
  return { index, source, target, type: failureTypeOf(code, side), message, workflowId: fileWorkflowId(storage, `${destination}/${target}`) };
}
