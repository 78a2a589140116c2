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
  /** Restores are not among them. */
  readonly totalSnapshots: number;
  /** Complete ones. */
  readonly successfulSnapshots: number;
  /** Published, with entries that failed. */
  readonly partialSnapshots: number;
  readonly failedSnapshots: number;
  readonly runningSnapshots: number;
  /** Of single files, batches and snapshots: what was copied. */
  readonly totalBytesBackedUp: number;
  /** Over files, those of batches included, but not those of snapshots: 0-100; 0 when nothing has finished yet. */
  readonly successRatePercent: number;
}

export interface BackupCounts {
  readonly successful: number;
  readonly failed: number;
  readonly running: number;
  readonly bytes: number;
}

/** Of batches or snapshots; `successful` counts everything that completed, partial ones included. */
export interface BatchCounts extends BackupCounts {
  readonly partial: number;
  readonly filesBackedUp: number;
  readonly filesFailed: number;
}

/** Turns counts into the statistics record. */
export function summarize(files: BackupCounts, batches: BatchCounts, snapshots: BatchCounts): BackupStatistics {
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
    totalSnapshots: snapshots.successful + snapshots.failed,
    successfulSnapshots: snapshots.successful - snapshots.partial,
    partialSnapshots: snapshots.partial,
    failedSnapshots: snapshots.failed,
    runningSnapshots: snapshots.running,
    totalBytesBackedUp: files.bytes + batches.bytes + snapshots.bytes,
    successRatePercent: all === 0 ? 0 : (good / all) * 100,
  };
}
