import { CancellationScope, setCurrentDetails, setHandler, workflowInfo } from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { ChunkResult } from '../activities';
import type { BatchBackupInput } from '../batch-models';
import type { BatchProgress } from '../core/batch-progress';
import { addChunkTo, noSums, type BatchSums } from '../core/batch-sums';
import { addTag, chunksPerSum, type JournalSums } from '../core/journal-sums';
import { RateMeter, type Rate } from '../core/rate-meter';
import { renderBatch } from './batch-details';
import { pauseUpdate, progressQuery, resumeUpdate, setLanesUpdate } from './messages';
import { createTurns } from './turns';

/** What a run of many files is asked for, as far as all kinds of runs have it in common. */
export type RunInput = Pick<BatchBackupInput, 'operationId' | 'metadata' | 'verifyBackup' | 'maxRetries' | 'retryDelayMs' | 'onCircuitOpen' | 'lanes' | 'backupDir'>;

/** What a run has planned, as far as all kinds have it in common. */
export interface RunPlan {
  /** With every default filled in, but without lists. */
  readonly input: object;
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
  readonly room?: BatchProgress['room'];
  /** Where it is, with what its files are proved by. */
  readonly location: { readonly proof?: object };
}

export interface BatchOptions {
  /** Whose targets they are, for the locks of files that get a saga of their own. */
  readonly storage: string;
}

/** A workflow that was started without options serves the storage of its queue. */
export function storageOf(options: Partial<BatchOptions> | undefined): string {
  return options?.storage ?? workflowInfo().taskQueue;
}

/** What one execution hands to the next when it continues as new: numbers, a few failures, no lists of files. */
export interface BatchState<Plan extends RunPlan = RunPlan> extends BatchSums {
  readonly startedAtMs: number;
  batch: Plan | undefined;
  /** All chunks before it are finished, once the lanes are drained, but for those that were given back. */
  nextChunk: number;
  /** Chunks that were given back while the destination was waited for: at most one for each lane. */
  returned: number[];
  /** What proves the journals of finished chunks; undefined before the first one, and in runs without a proof. */
  journalSums?: string[];
  paused: boolean;
  lanes: number;
  retryCount: number;
  /** How long the batch waited for its destination in all. */
  waitedMs: number;
}

/** A batch while it runs: its state, and what only this execution knows. */
export interface BatchRun<Input extends RunInput = RunInput, Plan extends RunPlan = RunPlan> extends BatchState<Plan> {
  input: Input;
  readonly current: Set<number>;
  /** Chunks that were begun, and whose journals are in no sum. */
  readonly unsettled: Set<number>;
  /** A lane failed: the others take no more chunks. */
  stopping: boolean;
  phase: Exclude<BatchProgress['state'], 'paused' | 'waiting'>;
  /** What chunks wait for, by chunk. */
  readonly waits: Map<unknown, string>;
  waitsUntilMs: number;
  /** Chunks of which files have sagas right now. */
  escalated: number;
  /** Ends the sagas of files, and nothing else. */
  readonly sagaScope: CancellationScope;
  readonly inTurn: ReturnType<typeof createTurns>;
  readonly meter: RateMeter;
  rate: Rate;
}

/** Sagas of files at a time. */
const MOST_SAGAS = 4;

/** A chunk takes a second or so. */
const RATE_WINDOW_MS = 60_000;

/** Takes up the state of the execution before, or starts afresh; registers queries and updates before anything is awaited. */
export function startBatchRun<Input extends RunInput, Plan extends RunPlan>(input: Input, carried: BatchState<Plan> | undefined): BatchRun<Input, Plan> {
  const fresh: BatchState<Plan> = {
    startedAtMs: Date.now(),
    batch: undefined,
    nextChunk: 0,
    returned: [],
    ...noSums(),
    paused: false,
    lanes: 0,
    retryCount: 0,
    waitedMs: 0,
  };
  const run: BatchRun<Input, Plan> = {
    ...(carried ?? fresh),
    input,
    current: new Set(),
    unsettled: new Set(carried?.returned),
    stopping: false,
    phase: carried === undefined ? 'planning' : 'running',
    waits: new Map(),
    waitsUntilMs: 0,
    escalated: 0,
    sagaScope: new CancellationScope(),
    inTurn: createTurns(MOST_SAGAS),
    meter: new RateMeter(RATE_WINDOW_MS),
    rate: { bytesPerSecond: 0, remainingMs: undefined },
  };
  setHandler(progressQuery, () => progressOf(run), { description: 'How far the batch is' });
  setHandler(pauseUpdate, () => setPaused(run, true), { description: 'Let the chunks under way finish and start no more', validator: () => refuseUnless(!run.paused, 'The batch is paused already') });
  setHandler(resumeUpdate, () => setPaused(run, false), { description: 'Go on', validator: () => refuseUnless(run.paused, 'The batch is not paused') });
  setHandler(setLanesUpdate, (lanes) => setLanes(run, lanes), { description: 'Chunks at a time', validator: (lanes) => refuseUnless(Number.isInteger(lanes) && lanes >= 1 && lanes <= 64, 'Lanes must be a whole number from 1 to 64') });
  return run;
}

/** The part that the next execution needs. */
export function carriedState<Plan extends RunPlan>({ input: _input, current: _current, unsettled: _unsettled, stopping: _stopping, phase: _phase, waits: _waits, waitsUntilMs: _waitsUntilMs, escalated: _escalated, sagaScope: _sagaScope, inTurn: _inTurn, meter: _meter, rate: _rate, ...state }: BatchRun<RunInput, Plan>): BatchState<Plan> {
  return state;
}

export function progressOf(run: BatchRun): BatchProgress {
  const { batch, current, waits } = run;
  return {
    state: stateOf(run),
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
    bytesPerSecond: run.rate.bytesPerSecond,
    remainingMs: run.rate.remainingMs ?? null,
    failuresByType: run.failuresByType,
    sample: run.sample,
    lanes: run.lanes,
    retryCount: run.retryCount,
    waitingFor: waits.values().next().value ?? null,
    startedAtMs: run.startedAtMs,
    ...(batch?.room === undefined ? {} : { room: batch.room }),
  };
}

function stateOf({ phase, paused, waits }: BatchRun): BatchProgress['state'] {
  if (waits.size > 0) return 'waiting';
  return paused && phase === 'running' ? 'paused' : phase;
}

/** Moves on, visibly. */
export function enterPhase(run: BatchRun, phase: BatchRun['phase']): void {
  run.phase = phase;
  show(run);
}

/** Says what something of the batch waits for, and with null that it goes on. */
export function showWait(run: BatchRun, key: unknown, reason: string | null): void {
  if (reason === null) run.waits.delete(key);
  else run.waits.set(key, reason);
  show(run);
}

/** What history knows of the journals of a run; undefined where it knows nothing. */
export function journalsOf({ batch, journalSums = [], unsettled, nextChunk }: BatchRun): JournalSums | undefined {
  return batch?.location.proof === undefined ? undefined : { sums: journalSums, unsettled: [...unsettled], begun: nextChunk };
}

function settle(run: BatchRun, chunk: number, { journalTag }: ChunkResult): void {
  if (journalTag === undefined || run.batch === undefined) return;
  run.unsettled.delete(chunk);
  run.journalSums = addTag(run.journalSums ?? [], Math.floor(chunk / chunksPerSum(run.batch.chunks)), journalTag);
}

/** Adds a finished chunk to the sums. */
export function addChunk(run: BatchRun, chunk: number, result: ChunkResult): void {
  addChunkTo(run, result);
  settle(run, chunk, result);
  const { backedUp, unchanged, failed, copiedBytes, unchangedBytes, batch } = run;
  const done = { files: backedUp + unchanged + failed, sizeBytes: copiedBytes + unchangedBytes };
  run.rate = run.meter.measure({ ...done, atMs: Date.now() }, batch ?? done);
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
