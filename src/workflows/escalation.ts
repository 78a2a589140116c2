import { ApplicationFailure, CancellationScope, ChildWorkflowCancellationType, ChildWorkflowFailure, executeChild, isCancellation, log } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Batch, ChunkResult, PassingFile } from '../activities';
import type { BatchBackupInput } from '../batch-models';
import { messageOf } from '../core/error-message';
import { pathSpan } from '../core/markdown';
import { isFailureType, type FailureType } from '../failures';
import type { FileBackupInput, FileBackupOutput } from '../models';
import { withAttempts } from './attempts';
import { backupFile } from './backup-file';
import { attemptsFor } from './batch-attempts';
import type { BatchRun } from './batch-run';
import { failureOf } from './failure-of';
import { patiently } from './patience';
import { chunkSteps } from './proxies';

/** A chunk of which files failed in passing. */
export interface FailedChunk {
  readonly run: BatchRun<BatchBackupInput, Batch>;
  readonly batch: Batch;
  readonly chunk: number;
  /** Whose targets they are, for the locks of files. */
  readonly storage: string;
}

/** What became of a file that had a saga. */
type Entry = Parameters<typeof chunkSteps.amendChunk>[0]['amendments'][number]['entry'];

/**
 * Gives each file that failed in passing a saga of its own, with its own retries and its own line in the Web UI, and
 * writes down what became of them, also when the batch is cancelled meanwhile.
 * @returns the chunk's result with theirs, and what cut the sagas short
 */
export async function escalate(work: FailedChunk, result: ChunkResult): Promise<{ result: ChunkResult; cut: Error | undefined }> {
  const { run } = work;
  const files = result.singles ?? [];
  const ended = await Promise.allSettled(files.map((file) => run.inTurn(() => run.sagaScope.run(() => saga(work, file)))));
  const amendments = ended.flatMap((each, position) => (each.status === 'fulfilled' ? [{ index: files[position]?.index ?? 0, entry: each.value }] : []));
  const cut = ended.find((each) => each.status === 'rejected')?.reason as Error | undefined;
  if (amendments.length === 0) return { result, cut };
  try {
    return { result: await amend(work, result, amendments, cut === undefined), cut };
  } catch (error) {
    if (cut === undefined) throw error;
    // The journal says what it said before, that those files failed, or it was written and the answer lost.
    log.error('What became of files that were tried again could not be written down', { chunk: work.chunk, error: failureOf(error).message });
    return { result: { ...result, journalTag: undefined }, cut };
  }
}

async function amend({ run, batch, chunk, storage }: FailedChunk, { journalTag }: ChunkResult, amendments: { index: number; entry: Entry }[], isPatient: boolean): Promise<ChunkResult> {
  const summary = `chunk ${chunk + 1}: ${amendments.length} files tried again`;
  const request = { batch, chunk, amendments, journalTag, storage };
  const write = () => CancellationScope.nonCancellable(() => withAttempts(attemptsFor(run), (retry) => chunkSteps.amendChunk.executeWithOptions({ summary, retry }, [request])));
  return isPatient ? patiently(run, chunk, write) : write();
}

async function saga({ run, batch }: FailedChunk, { source, target, workflowId }: PassingFile): Promise<Entry> {
  const { verifyBackup, verifyFrom, maxRetries, retryDelayMs, onCircuitOpen, onSourceChanged, metadata } = run.input;
  const input: Omit<FileBackupInput, 'operationId'> = {
    sourcePath: source,
    backupPath: `${batch.location.destination}/${target}`,
    atomic: true,
    ...{ verifyBackup, verifyFrom, maxRetries, retryDelayMs, onCircuitOpen, onSourceChanged, metadata },
  };
  try {
    const output = await executeChild(backupFile, {
      workflowId,
      args: [input as FileBackupInput],
      staticSummary: `${pathSpan(source)} → ${pathSpan(input.backupPath)}`,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
    });
    return { state: 'backedUp', sizeBytes: output.backupSizeBytes, sha256: output.sha256 ?? undefined, changed: output.sourceChanged };
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { state: 'failed', failure: { ...sagaFailure(error, input.backupPath), side: 'destination' } };
  }
}

function sagaFailure(error: unknown, path: string): { code: FailureType; message: string } {
  if (error instanceof WorkflowExecutionAlreadyStartedError) return { code: 'TargetBusy', message: `Target ${path} is being written by another backup` };
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  const type = cause instanceof ApplicationFailure && isFailureType(cause.type) ? cause.type : 'UnexpectedError';
  const output = cause instanceof ApplicationFailure ? (cause.details?.[0] as FileBackupOutput | undefined) : undefined;
  return { code: type, message: output?.errorMessage ?? messageOf(cause) };
}
