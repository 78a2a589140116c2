import { setCurrentDetails, setHandler } from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { Batch, ChunkResult } from '../activities';
import type { BatchBackupInput } from '../batch-models';
import type { BatchProgress } from '../core/batch-progress';
import { addChunkTo, noSums, type BatchSums } from '../core/batch-sums';
import { renderBatch } from './batch-details';
import { pauseUpdate, progressQuery, resumeUpdate, setLanesUpdate } from './messages';

export interface BatchOptions {
  /** Whose targets they are, for the locks of files that get a saga of their own. */
  readonly storage: string;
}

/** What one execution hands to the next when it continues as new: numbers, a few failures, no lists of files. */
export interface BatchState extends BatchSums {
  readonly startedAtMs: number;
  batch: Batch | undefined;
  /** All chunks before it are finished, once the lanes are drained. */
  nextChunk: number;
  paused: boolean;
  lanes: number;
  retryCount: number;
  waitedMs: number;
}

/** A batch while it runs: its state, and what only this execution knows. */
export interface BatchRun extends BatchState {
  input: BatchBackupInput;
  readonly current: Set<number>;
  /** A lane failed: the others take no more chunks. */
  stopping: boolean;
  phase: BatchProgress['state'];
  waitingFor: string | null;
}

/** Takes up the state of the execution before, or starts afresh; registers queries and updates before anything is awaited. */
export function startBatchRun(input: BatchBackupInput, carried: BatchState | undefined): BatchRun {
  const fresh: BatchState = {
    startedAtMs: Date.now(),
    batch: undefined,
    nextChunk: 0,
    ...noSums(),
    paused: false,
    lanes: input.lanes,
    retryCount: 0,
    waitedMs: 0,
  };
  const run: BatchRun = { ...(carried ?? fresh), input, current: new Set(), stopping: false, phase: carried === undefined ? 'planning' : 'running', waitingFor: null };
  setHandler(progressQuery, () => progressOf(run), { description: 'How far the batch is' });
  setHandler(pauseUpdate, () => setPaused(run, true), { description: 'Let the chunks under way finish and start no more', validator: () => refuseUnless(!run.paused, 'The batch is paused already') });
  setHandler(resumeUpdate, () => setPaused(run, false), { description: 'Go on', validator: () => refuseUnless(run.paused, 'The batch is not paused') });
  setHandler(setLanesUpdate, (lanes) => setLanes(run, lanes), { description: 'Chunks at a time', validator: (lanes) => refuseUnless(Number.isInteger(lanes) && lanes >= 1 && lanes <= 64, 'Lanes must be a whole number from 1 to 64') });
  return run;
}

/** The part that the next execution needs. */
export function carriedState({ input: _input, current: _current, stopping: _stopping, phase: _phase, waitingFor: _waitingFor, ...state }: BatchRun): BatchState {
  return state;
}

export function progressOf(run: BatchRun): BatchProgress {
  const { batch, current, phase, paused } = run;
  return {
    state: paused && phase === 'running' ? 'paused' : phase,
    files: batch?.files ?? 0,
    sizeBytes: batch?.sizeBytes ?? 0,
    chunks: batch?.chunks ?? 0,
    finishedChunks: run.finishedChunks,
    current: [...current],
    backedUp: run.backedUp,
    unchanged: run.unchanged,
    failed: run.failed,
    changed: run.changed,
    copiedBytes: run.copiedBytes,
    unchangedBytes: run.unchangedBytes,
    passes: run.input.verifyBackup ? 2 : 1,
    failuresByType: run.failuresByType,
    sample: run.sample,
    lanes: run.lanes,
    retryCount: run.retryCount,
    waitingFor: run.waitingFor,
    startedAtMs: run.startedAtMs,
  };
}

/** Moves on, visibly. */
export function enterPhase(run: BatchRun, phase: BatchProgress['state'], waitingFor: string | null = null): void {
  run.phase = phase;
  run.waitingFor = waitingFor;
  show(run);
}

/** Adds a finished chunk to the sums. */
export function addChunk(run: BatchRun, result: ChunkResult): void {
  addChunkTo(run, result);
  show(run);
}

function show(run: BatchRun): void {
  setCurrentDetails(renderBatch(progressOf(run), run.input.backupDir));
}

function setPaused(run: BatchRun, paused: boolean): BatchProgress {
  run.paused = paused;
  show(run);
  return progressOf(run);
}

function setLanes(run: BatchRun, lanes: number): BatchProgress {
  run.lanes = lanes;
  return progressOf(run);
}

function refuseUnless(condition: boolean, message: string): void {
  if (!condition) throw ApplicationFailure.nonRetryable(message, 'InvalidInput');
}
