import { ApplicationFailure, ChildWorkflowFailure, executeChild, isCancellation, sleep, ChildWorkflowCancellationType } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Batch, ChunkResult, FailedFile } from '../activities';
import type { FileBackupInput, FileBackupOutput } from '../models';
import { failureKinds, isFailureType, type FailureType } from '../failures';
import { circuitWait } from '../policies';
import { backupFile } from './backup-file';
import { attemptsFor } from './batch-attempts';
import { addChunk, enterPhase, type BatchOptions, type BatchRun } from './batch-run';
import { failureOf } from './failure-of';
import { chunkSteps } from './proxies';
import { withAttempts } from './attempts';

/** Backs one chunk up, and files of it that failed in passing by a saga each. */
export async function backUpChunk(run: BatchRun, batch: Batch, chunk: number, options: BatchOptions): Promise<void> {
  const result = await patiently(run, () => attempt(run, batch, chunk, options));
  if (run.input.onFailure === 'rollBack' && result.counts.failed > 0) throw fileFailed(result);
  addChunk(run, result.passing.length === 0 ? result : await tryAgain(run, batch, chunk, result, options));
}

async function attempt(run: BatchRun, batch: Batch, chunk: number, options: BatchOptions): Promise<ChunkResult> {
  const summary = `chunk ${chunk + 1} of ${batch.chunks}`;
  return withAttempts(attemptsFor(run), (retry) => chunkSteps.backupChunk.executeWithOptions({ summary, retry }, [{ batch, chunk, storage: options.storage }]));
}

/** A destination that is ill is waited for, as an open circuit is: it may be a disk that somebody mounts again. */
async function patiently(run: BatchRun, step: () => Promise<ChunkResult>): Promise<ChunkResult> {
  for (let waits = 0; ; waits += 1) {
    try {
      return await step();
    } catch (error) {
      const { type, message } = failureOf(error);
      const waitMs = Math.min(30_000 * 2 ** waits, circuitWait.capMs);
      const { permanent, blamesDestination } = failureKinds[type];
      if (isCancellation(error) || permanent || !blamesDestination || run.input.onCircuitOpen === 'fail' || run.waitedMs + waitMs > circuitWait.totalMs) throw error;
      run.waitedMs += waitMs;
      const reason = `destination ill, next try at ${new Date(Date.now() + waitMs).toISOString()}`;
      enterPhase(run, 'waiting', `${reason}: ${message}`);
      await sleep(waitMs, { summary: reason });
      enterPhase(run, 'running');
    }
  }
}

function fileFailed({ sample, passing }: ChunkResult): ApplicationFailure {
  const [first] = [...sample, ...passing];
  return ApplicationFailure.nonRetryable(first?.message ?? 'A file failed', first?.type ?? 'UnexpectedError', {});
}

/** Gives each file that failed in passing a saga of its own, with its own retries and its own line in the Web UI. */
async function tryAgain(run: BatchRun, batch: Batch, chunk: number, result: ChunkResult, options: BatchOptions): Promise<ChunkResult> {
  const { storage } = options;
  const amendments = [];
  for (const file of result.passing) amendments.push({ index: file.index, entry: await saga(run, batch, file) });
  const amended = await chunkSteps.amendChunk.executeWithOptions({ summary: `chunk ${chunk + 1}: ${amendments.length} files tried again` }, [{ batch, chunk, amendments, storage }]);
  return amended;
}

async function saga(run: BatchRun, batch: Batch, { source, target, workflowId }: FailedFile) {
  const { verifyBackup, verifyFrom, maxRetries, retryDelayMs, onCircuitOpen, onSourceChanged, metadata } = run.input;
  const input: Omit<FileBackupInput, 'operationId'> = {
    sourcePath: source,
    backupPath: `${batch.location.destination}/${target}`,
    atomic: true,
    ...{ verifyBackup, verifyFrom, maxRetries, retryDelayMs, onCircuitOpen, onSourceChanged, metadata },
  };
  try {
    const output = await executeChild(backupFile, { workflowId, args: [input as FileBackupInput], staticSummary: `${source} → ${input.backupPath}`, cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED });
    return { state: 'backedUp' as const, sizeBytes: output.backupSizeBytes, sha256: output.sha256 ?? undefined, changed: output.sourceChanged };
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { state: 'failed' as const, failure: { ...sagaFailure(error, input.backupPath), side: 'destination' as const } };
  }
}

function sagaFailure(error: unknown, path: string): { code: FailureType; message: string } {
  if (error instanceof WorkflowExecutionAlreadyStartedError) return { code: 'TargetBusy', message: `Target ${path} is being written by another backup` };
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  const type = cause instanceof ApplicationFailure && isFailureType(cause.type) ? cause.type : 'UnexpectedError';
  const output = cause instanceof ApplicationFailure ? (cause.details?.[0] as FileBackupOutput | undefined) : undefined;
  return { code: type, message: output?.errorMessage ?? (cause instanceof Error ? cause.message : String(cause)) };
}
