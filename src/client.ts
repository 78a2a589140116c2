import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { BackupClient } from './client/backup-client';
import { messageOf } from './core/error-message';
import { hostTaskQueue } from './core/names';
import { flush, guardStreams, printLines, printNotes } from './terminal';

export { BackupClient, type BackupClientOptions, type BatchBackupHandle, type FileBackupHandle, type RestoreHandle, type RunHandle, type SnapshotHandle } from './client/backup-client';
export { namedServer, serverOrLocal, type ServerAddress, type ServerChoice } from './client/connect';
export { AmbiguousIdError, BatchUpdateError, NotAuthenticError, NoSuchScheduleError, OperationReusedError, RunNotFoundError, ScheduleExistsError, TargetBusyError } from './client/errors';
export type { LiveBatchProgress, StepUnderWay } from './client/batch-progress';
export type { BackupDescription, PendingStep } from './client/describe-run';
export type { RunKind } from './client/run-kinds';
export type { RunState } from './client/run-state';
export type { BackupRun } from './client/runs';
export type { BatchBackupOutput, BatchBackupRequest } from './batch-models';
export type { BackupSchedule, BackupSchedules } from './client/schedules';
export type { ScheduleRequest } from './schedule-models';
export type { RestoreOutput, RestoreRequest } from './restore-models';
export type { SnapshotOutput, SnapshotRequest } from './snapshot-models';
export { choosePayloadKeys, type KeyChoice } from './keys/choose-keys';
export { PayloadKeyError, readKeyFile } from './keys/key-file';
export { signingConverter } from './keys/data-converter';
export { payloadKeys, type PayloadKeys } from './keys/payload-keys';
export { hostTaskQueue } from './core/names';
export { InvalidInputError, type FileBackupOutput, type FileBackupRequest } from './models';

/**
 * Run directly: backs one file up on any server that has a worker, as `npm run client -- SOURCE TARGET`, and prints
 * the record.
 */
async function run([source, target]: readonly string[]): Promise<void> {
  if (source === undefined || target === undefined) throw new Error('Usage: npm run client -- SOURCE TARGET');
  const taskQueue = process.env.FILE_BACKUP_TASK_QUEUE ?? hostTaskQueue(hostname());
  const client = await BackupClient.connect({ taskQueue });
  try {
    const output = await client.backupFile({ sourcePath: resolve(source), backupPath: resolve(target) });
    printLines(JSON.stringify(output, null, 2).split('\n'));
    await flush();
    process.exitCode = output.success ? 0 : 1;
  } finally {
    await client.close();
  }
}

if (require.main === module) {
  guardStreams();
  run(process.argv.slice(2)).catch((error: unknown) => {
    printNotes([messageOf(error)]);
    process.exit(1);
  });
}
