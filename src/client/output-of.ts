import { ApplicationFailure, CancelledFailure, TerminatedFailure, WorkflowFailedError, type Client } from '@temporalio/client';
import type { z } from 'zod';
import { BatchBackupOutput, type BatchBackupInput } from '../batch-models';
import { failureKinds, type FailureType } from '../failures';
import { FileBackupOutput, parseModel, type FileBackupInput } from '../models';
import { RestoreOutput, type RestoreInput } from '../restore-models';
import { SnapshotOutput, type SnapshotInput } from '../snapshot-models';
import { firstRunIdOf, type StartedRun } from './start-run';

/** Builds the record of a run of which no more is known than that it failed. */
type WithoutRecord<Output> = (errorCode: FailureType, errorMessage: string) => Output;

/**
 * The record of a run at its end, however it ended. Only trouble in asking for it is thrown.
 */
export async function outputOf<Schema extends z.ZodType>(client: Client, run: StartedRun, schema: Schema, withoutRecord: WithoutRecord<z.output<Schema>>): Promise<z.output<Schema>> {
  try {
    return parseModel(schema, await client.workflow.getHandle(run.workflowId, run.runId).result());
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const record = await recordOf(error, client, run);
    if (record !== undefined) return parseModel(schema, record);
    // Terminated from outside: there was no undo, and nobody wrote a record.
    const errorCode: FailureType = error.cause instanceof TerminatedFailure ? 'Terminated' : error.cause instanceof CancelledFailure ? 'Cancelled' : 'UnexpectedError';
    return withoutRecord(errorCode, `${error.cause?.message ?? error.message}. ${failureKinds[errorCode].hint}`);
  }
}

/** A failed run carries its record in its failure, a cancelled one in its memo. */
async function recordOf({ cause }: WorkflowFailedError, client: Client, { workflowId, runId }: StartedRun): Promise<unknown> {
  if (cause instanceof ApplicationFailure) return cause.details?.[0];
  if (!(cause instanceof CancelledFailure)) return undefined;
  // The last execution has it; of an id that was used again since, only the first is known.
  const last = await client.workflow.getHandle(workflowId).describe();
  const ended = firstRunIdOf(last) === runId ? last : await client.workflow.getHandle(workflowId, runId).describe();
  return ended.memo?.output;
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

/** The record of a batch of which no more is known than that it failed. */
export function failedBatchOutput({ operationId, backupDir }: BatchBackupInput, errorCode: FailureType, errorMessage: string, rollback: 'notNeeded' | 'failed'): BatchBackupOutput {
  return parseModel(BatchBackupOutput, {
    success: false,
    operationId,
    backupDir,
    totalFiles: 0,
    duplicateEntries: 0,
    successfulFiles: 0,
    unchangedFiles: 0,
    failedFiles: 0,
    skippedFiles: 0,
    changedFiles: 0,
    totalBytes: 0,
    successRatePercent: 0,
    failuresByType: {},
    failureSample: [],
    verifiedFrom: null,
    createdDirectories: [],
    runDirectory: '',
    retryCount: 0,
    processingTimeMs: 0,
    completedAt: new Date().toISOString(),
    rollback,
    errorCode,
    errorMessage,
  });
}

/** The record of a snapshot of which no more is known than that it failed. */
export function failedSnapshotOutput({ operationId, repository }: SnapshotInput, errorCode: FailureType, errorMessage: string, rollback: 'notNeeded' | 'failed'): SnapshotOutput {
  return parseModel(SnapshotOutput, {
    success: false,
    operationId,
    repository,
    snapshot: null,
    status: null,
    parent: null,
    files: 0,
    newFiles: 0,
    changedFiles: 0,
    unchangedFiles: 0,
    directories: 0,
    symlinks: 0,
    specials: 0,
    failedEntries: 0,
    vanishedFiles: 0,
    excludedEntries: 0,
    totalBytes: 0,
    copiedBytes: 0,
    failuresByType: {},
    failureSample: [],
    verifiedFrom: null,
    leftOut: [],
    notKept: [],
    retryCount: 0,
    processingTimeMs: 0,
    completedAt: new Date().toISOString(),
    rollback,
    errorCode,
    errorMessage,
  });
}

/** The record of a restore of which no more is known than that it failed. */
export function failedRestoreOutput({ operationId, repository, target }: RestoreInput, errorCode: FailureType, errorMessage: string): RestoreOutput {
  return parseModel(RestoreOutput, {
    success: false,
    operationId,
    repository,
    snapshot: null,
    target,
    entries: 0,
    restoredEntries: 0,
    unchangedEntries: 0,
    failedEntries: 0,
    skippedEntries: 0,
    skippedByReason: {},
    rightsLeftOut: 0,
    restoredBytes: 0,
    failuresByType: {},
    failureSample: [],
    failuresPath: null,
    skippedSample: [],
    verifiedFrom: null,
    retryCount: 0,
    processingTimeMs: 0,
    completedAt: new Date().toISOString(),
    errorCode,
    errorMessage,
  });
}
