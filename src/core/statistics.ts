/** Totals over finished backups, as `file-backup stats` prints them. */
export interface BackupStatistics {
  readonly totalBackups: number;
  readonly successfulBackups: number;
  readonly failedBackups: number;
  /** Backups that are under way and counted in none of the above. */
  readonly runningBackups: number;
  readonly totalBytesBackedUp: number;
  /** 0-100; 0 when nothing has finished yet. */
  readonly successRatePercent: number;
}

export interface BackupCounts {
  readonly successful: number;
  readonly failed: number;
  readonly running: number;
  readonly bytes: number;
}

/** Turns counts into the statistics record. */
export function summarize({ successful, failed, running, bytes }: BackupCounts): BackupStatistics {
  const total = successful + failed;
  return {
    totalBackups: total,
    successfulBackups: successful,
    failedBackups: failed,
    runningBackups: running,
    totalBytesBackedUp: bytes,
    successRatePercent: total === 0 ? 0 : (successful / total) * 100,
  };
}
