import type { RunSummary } from '../activities';
import type { BatchBackupOutput } from '../batch-models';
import type { FileBatch } from './batch-job';
import { noteEnd } from './note-end';

/** The record of a batch: exact sums from its journal, or what the run counted when that could not be read. */
export function batchOutput(run: FileBatch, sealed: RunSummary | undefined, failure: { type: string; message: string } | null, rollback: BatchBackupOutput['rollback'] = 'notNeeded'): BatchBackupOutput {
  const sums = sealed ?? countedSums(run);
  const published = rollback === 'performed' ? 0 : sums.backedUp;
  const good = published + (rollback === 'performed' ? 0 : sums.unchanged);
  const output: BatchBackupOutput = {
    success: failure === null && sums.failed === 0 && sums.skipped === 0,
    operationId: run.input.operationId,
    backupDir: run.input.backupDir,
    totalFiles: sums.files,
    duplicateEntries: run.batch?.duplicates ?? 0,
    successfulFiles: good,
    unchangedFiles: sums.unchanged,
    failedFiles: sums.failed,
    skippedFiles: sums.files - good - sums.failed,
    changedFiles: sums.changed,
    totalBytes: rollback === 'performed' ? 0 : sums.sizeBytes,
    successRatePercent: sums.files === 0 ? 100 : (good / sums.files) * 100,
    failuresByType: run.failuresByType,
    failureSample: run.sample,
    verifiedFrom: run.verifiedFrom,
    createdDirectories: [...(run.batch?.createdDirectories ?? [])],
    runDirectory: run.batch === undefined ? '' : `${run.batch.location.destination}/.file-backup/runs/${run.batch.location.runId}`,
    retryCount: run.retryCount,
    processingTimeMs: Date.now() - run.startedAtMs,
    completedAt: new Date().toISOString(),
    rollback,
    errorCode: failure?.type ?? null,
    errorMessage: failure?.message ?? null,
  };
  record(run, output);
  return output;
}

function countedSums({ batch, backedUp, unchanged, failed, changed, copiedBytes }: FileBatch): RunSummary {
  const files = batch?.files ?? 0;
  return { files, backedUp, unchanged, failed, skipped: files - backedUp - unchanged - failed, changed, sizeBytes: copiedBytes };
}

function record(run: FileBatch, { success, rollback, totalBytes, errorCode, totalFiles, successfulFiles, failedFiles, skippedFiles }: BatchBackupOutput): void {
  const state = rollback === 'performed' ? 'rolledBack' : rollback === 'failed' ? 'inconsistent' : errorCode !== null ? 'failed' : success ? 'committed' : 'partial';
  noteEnd(run, { totalFiles, successfulFiles, failedFiles, skippedFiles, totalBytes }, state);
}
