/** Totals over finished runs, as `file-backup stats` prints them. */
export interface BackupStatistics {
  /** Backups of single files. */
  readonly totalBackups: number;
  readonly successfulBackups: number;
  readonly failedBackups: number;
  /** Backups that are under way and counted in none of the above. */
  readonly runningBackups: number;
  readonly totalBatches: number;
  /** Every file of them is backed up. */
  readonly successfulBatches: number;
  /** Finished, with files that failed or were skipped. */
  readonly partialBatches: number;
  readonly failedBatches: number;
  readonly runningBatches: number;
  /** Files of finished batches. */
  readonly batchFilesBackedUp: number;
  readonly batchFilesFailed: number;
  /** Of single files and of batches. */
  readonly totalBytesBackedUp: number;
  /** Over files, those of batches included: 0-100; 0 when nothing has finished yet. */
  readonly successRatePercent: number;
}

export interface BackupCounts {
  readonly successful: number;
  readonly failed: number;
  readonly running: number;
  readonly bytes: number;
}

/** `successful` counts every batch that completed, partial ones included. */
export interface BatchCounts extends BackupCounts {
  readonly partial: number;
  readonly filesBackedUp: number;
  readonly filesFailed: number;
}

/** Turns counts into the statistics record. */
export function summarize(files: BackupCounts, batches: BatchCounts): BackupStatistics {
  const good = files.successful + batches.filesBackedUp;
  const all = good + files.failed + batches.filesFailed;
  return {
    totalBackups: files.successful + files.failed,
    successfulBackups: files.successful,
    failedBackups: files.failed,
    runningBackups: files.running,
    totalBatches: batches.successful + batches.failed,
    successfulBatches: batches.successful - batches.partial,
    partialBatches: batches.partial,
    failedBatches: batches.failed,
    runningBatches: batches.running,
    batchFilesBackedUp: batches.filesBackedUp,
    batchFilesFailed: batches.filesFailed,
    totalBytesBackedUp: files.bytes + batches.bytes,
    successRatePercent: all === 0 ? 0 : (good / all) * 100,
  };
}
