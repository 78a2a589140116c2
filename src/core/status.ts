import type { BackupState } from './names';

/** The steps of the single-file saga as people see them. */
export type StepLabel = 'inspect' | 'prepare' | 'stage' | 'verify' | 'publish' | 'finalize' | 'undo' | 'done';

/** The answer to the `status` query. */
export interface FileBackupStatus {
  readonly state: BackupState;
  readonly step: StepLabel;
  readonly sourcePath: string;
  readonly backupPath: string;
  readonly sizeBytes: number;
  readonly retryCount: number;
  /** Why it waits, or null. */
  readonly waitingFor: string | null;
}

/** The answer to the `status` query of a time of a schedule. */
export interface ScheduledStatus {
  readonly step: 'snapshot' | 'prune' | 'check' | 'done';
  /** Why it waits, or null. */
  readonly waitingFor: string | null;
}
