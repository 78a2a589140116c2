// Everything a program needs. Loading it loads Temporal's worker: programs that only start backups are served faster
// by `temporal-file-backup/client`.
export { createActivities, type Activities, type ActivityDependencies, type AllowedRoots } from './activities';
export {
  BackupClient,
  namedServer,
  OperationReusedError,
  RunNotFoundError,
  serverOrLocal,
  TargetBusyError,
  type BackupClientOptions,
  type BackupDescription,
  type BackupRun,
  type FileBackupHandle,
  type PendingStep,
  type ServerAddress,
  type ServerChoice,
} from './client';
export type { FileProgress } from './client/progress';
export { defaultBreakerOptions, type BreakerOptions } from './core/breaker';
export { BACKUP_FILE_WORKFLOW, hostTaskQueue, SEARCH_ATTRIBUTES, STATUS_QUERY, type BackupState } from './core/names';
export type { BackupStatistics } from './core/statistics';
export type { FileBackupStatus, StepLabel } from './core/status';
export { failureKinds, isFailureType, type FailureKind, type FailureType } from './failures';
export { FileBackupInput, FileBackupOutput, InvalidInputError, Rollback, type FileBackupRequest } from './models';
export { createBackupPlugin, type BackupPluginOptions } from './plugin';
export { createBackupWorker, resolveRoots, type BackupWorker, type BackupWorkerOptions } from './worker';
