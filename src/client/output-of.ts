import { ApplicationFailure, CancelledFailure, TerminatedFailure, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { failureKinds, type FailureType } from '../failures';
import { FileBackupOutput, parseModel, type FileBackupInput } from '../models';

/**
 * The record of a finished run, however it ended. Only trouble in asking for it is thrown.
 */
export async function outputOf(handle: WorkflowHandle, input: FileBackupInput): Promise<FileBackupOutput> {
  try {
    return parseModel(FileBackupOutput, await handle.result());
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const record = await recordOf(error, handle);
    return record === undefined ? withoutRecord(error, input) : parseModel(FileBackupOutput, record);
  }
}

/** A failed run carries its record in its failure, a cancelled one in its memo. */
async function recordOf({ cause }: WorkflowFailedError, handle: WorkflowHandle): Promise<unknown> {
  if (cause instanceof ApplicationFailure) return cause.details?.[0];
  if (cause instanceof CancelledFailure) return (await handle.describe()).memo?.output;
  return undefined;
}

/** Terminated from outside: there was no undo, and nobody wrote a record. */
function withoutRecord({ cause, message }: WorkflowFailedError, input: FileBackupInput): FileBackupOutput {
  const errorCode: FailureType = cause instanceof TerminatedFailure ? 'Terminated' : 'UnexpectedError';
  return failedOutput(input, errorCode, `${cause?.message ?? message}. ${failureKinds[errorCode].hint}`, 'failed');
}

/** The record of an operation of which no more is known than that it failed. */
export function failedOutput(input: FileBackupInput, errorCode: FailureType, errorMessage: string, rollback: 'notNeeded' | 'failed'): FileBackupOutput {
  return parseModel(FileBackupOutput, {
    success: false,
    sourcePath: input.sourcePath,
    backupPath: input.backupPath,
    sourceSizeBytes: 0,
    backupSizeBytes: 0,
    verified: false,
    checksumMatch: null,
    transactionId: null,
    rollbackPerformed: false,
    processingTimeMs: 0,
    retryCount: 0,
    operationId: input.operationId,
    completedAt: new Date().toISOString(),
    errorMessage,
    errorCode,
    sha256: null,
    verifiedFrom: null,
    publishedBy: null,
    sourceChanged: false,
    createdDirectories: [],
    warnings: [],
    rollback: { status: rollback, steps: [] },
  });
}
