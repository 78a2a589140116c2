/** Names that several layers must agree on. No I/O, no Temporal: workflow code imports this file too. */

/** Workflow type of the single-file saga. */
export const BACKUP_FILE_WORKFLOW = 'backupFile';

/** Workflow type of the batch. */
export const BACKUP_BATCH_WORKFLOW = 'backupBatch';

/** Workflow type of a snapshot. */
export const BACKUP_SNAPSHOT_WORKFLOW = 'backupSnapshot';
/** Workflow type of what a schedule starts: a snapshot, and what follows it. */
export const SCHEDULED_SNAPSHOT_WORKFLOW = 'scheduledSnapshot';
/** Workflow type of a restore. */
export const RESTORE_SNAPSHOT_WORKFLOW = 'restoreSnapshot';

/** Activities by which runs of many files plan, and those that work on a chunk of files, whatever kind of run it is. */
export const PLANNING_STEPS: readonly string[] = ['planBatch', 'planSnapshot', 'planRestore'];
export const CHUNK_STEPS: readonly string[] = ['backupChunk', 'snapshotChunk', 'restoreChunk'];

/** Query that every single-file run answers. */
export const STATUS_QUERY = 'status';

/** Messages of a batch. */
export const PROGRESS_QUERY = 'progress';
export const PAUSE_UPDATE = 'pause';
export const RESUME_UPDATE = 'resume';
export const SET_LANES_UPDATE = 'setLanes';

/** Search attribute names, registered by the project on any server it meets (see src/client/search-attributes.ts). */
export const STATE_ATTRIBUTE = 'FileBackupState';
export const OPERATION_ATTRIBUTE = 'FileBackupOperationId';
export const BYTES_ATTRIBUTE = 'FileBackupBytes';

/** Name → type as `temporal server start-dev --search-attribute` takes them. */
export const SEARCH_ATTRIBUTES: Readonly<Record<string, 'Keyword' | 'Int'>> = {
  [STATE_ATTRIBUTE]: 'Keyword',
  [OPERATION_ATTRIBUTE]: 'Keyword',
  [BYTES_ATTRIBUTE]: 'Int',
};

/** Where a run stands; the value of the `FileBackupState` search attribute. */
export type BackupState = 'active' | 'committed' | 'partial' | 'rolledBack' | 'failed' | 'inconsistent';

/** The queue of the worker on a host that has the files: the default of `file-backup worker`. */
export function hostTaskQueue(host: string): string {
  return `file-backup-${host}`;
}

/** The queue of a one-shot command's own worker: it serves one operation and nothing else. */
export function operationTaskQueue(storage: string, operationId: string): string {
  return `${storage}-${operationId}`;
}

const STAGING_PREFIX = '.file-backup-';
const REVOKED_SUFFIX = '.revoked';

/** Name of a run's staging directory, beside its target. Per run, so that late steps of an earlier run never meet it. */
export function stagingName(runId: string): string {
  return `${STAGING_PREFIX}${runId}`;
}

/** Name that the staging directory is renamed to when a run finalizes or undoes: from then on no late step finds it. */
export function revokedName(runId: string): string {
  return `${STAGING_PREFIX}${runId}${REVOKED_SUFFIX}`;
}

/** Where runs of many files, and repositories, keep everything of their own in a destination. */
export const OWN_DIRECTORY = '.file-backup';
