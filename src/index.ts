// Everything a program needs. Loading it loads Temporal's worker: programs that only start backups are served faster
// by `temporal-file-backup/client`.
export { createActivities, type Activities, type ActivityDependencies, type AllowedRoots } from './activities';
export { BatchBackupInput, BatchBackupOutput, type BatchBackupRequest } from './batch-models';
export {
  AmbiguousIdError,
  BackupClient,
  BatchUpdateError,
  choosePayloadKeys,
  NotAuthenticError,
  PayloadKeyError,
  payloadKeys,
  readKeyFile,
  NoSuchScheduleError,
  namedServer,
  OperationReusedError,
  RunNotFoundError,
  ScheduleExistsError,
  serverOrLocal,
  TargetBusyError,
  type BackupClientOptions,
  type KeyChoice,
  type PayloadKeys,
  type BackupDescription,
  type BackupRun,
  type BackupSchedule,
  type BackupSchedules,
  type BatchBackupHandle,
  type FileBackupHandle,
  type LiveBatchProgress,
  type PendingStep,
  type RestoreHandle,
  type RunHandle,
  type RunKind,
  type RunState,
  type ServerAddress,
  type ServerChoice,
  type SnapshotHandle,
  type StepUnderWay,
} from './client';
export type { FileProgress } from './client/progress';
export { defaultBreakerOptions, type BreakerOptions } from './core/breaker';
export type { BatchProgress, BatchTotals } from './core/batch-progress';
export { BACKUP_BATCH_WORKFLOW, BACKUP_FILE_WORKFLOW, BACKUP_SNAPSHOT_WORKFLOW, hostTaskQueue, RESTORE_SNAPSHOT_WORKFLOW, SCHEDULED_SNAPSHOT_WORKFLOW, SEARCH_ATTRIBUTES, STATUS_QUERY, type BackupState } from './core/names';
export type { BackupStatistics } from './core/statistics';
export type { FileBackupStatus, StepLabel } from './core/status';
export { failureKinds, isFailureType, type FailureKind, type FailureType } from './failures';
export { FileBackupInput, FileBackupOutput, InvalidInputError, Rollback, type FileBackupRequest } from './models';
export { RestoreInput, RestoreOutput, type RestoreRequest } from './restore-models';
export { KeepRules, ScheduledInput, ScheduleInput, ScheduleTiming, type ScheduleRequest } from './schedule-models';
export { SnapshotInput, SnapshotOutput, type SnapshotRequest } from './snapshot-models';
export { signingConverter } from './keys/data-converter';
export { createBackupPlugin, type BackupPluginOptions } from './plugin';
export { createBackupWorker, resolveRoots, type BackupWorker, type BackupWorkerOptions } from './worker';
