import { BatchBackupOutput, type BatchBackupInput } from '../batch-models';
import type { FailureType } from '../failures';
import { FileBackupOutput, parseModel, type FileBackupInput } from '../models';
import { RestoreOutput, type RestoreInput } from '../restore-models';
import { SnapshotOutput, type SnapshotInput } from '../snapshot-models';

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
    damagedCopies: { count: 0, sample: [] },
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
