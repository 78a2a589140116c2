import { hostname } from 'node:os';
import { NativeConnection } from '@temporalio/worker';
import { serverOrLocal } from './client/connect';
import { stateDirectory } from './config';
import { messageOf } from './core/error-message';
import { hostTaskQueue } from './core/names';
import { choosePayloadKeys } from './keys/choose-keys';
import { createLogger, installRuntime } from './log';
import { guardStreams, printNotes } from './terminal';
import { createBackupWorker } from './worker/create-worker';
import { missingRoots, resolveRoots } from './worker/roots';
import { onStopSignal } from './worker/stop-signal';

export { createBackupWorker, type BackupWorker, type BackupWorkerOptions } from './worker/create-worker';
export { choosePayloadKeys, type KeyChoice } from './keys/choose-keys';
export { PayloadKeyError, readKeyFile } from './keys/key-file';
export { payloadKeys, type PayloadKeys } from './keys/payload-keys';
export { resolveRoots } from './worker/roots';

/**
 * Run directly: serves backups until SIGTERM. Configured by the environment alone, as the Temporal samples are:
 * TEMPORAL_ADDRESS and its kin, FILE_BACKUP_SOURCE_ROOTS, FILE_BACKUP_DESTINATION_ROOTS (colon-separated),
 * FILE_BACKUP_TASK_QUEUE, FILE_BACKUP_PAYLOAD_KEY, FILE_BACKUP_TRUST_DESTINATION (`true` accepts destinations that other
 * users can change). `file-backup worker` has options for the same.
 */
async function run(): Promise<void> {
  const { FILE_BACKUP_SOURCE_ROOTS = '', FILE_BACKUP_DESTINATION_ROOTS = '', FILE_BACKUP_TRUST_DESTINATION, FILE_BACKUP_TASK_QUEUE } = process.env;
  const log = createLogger('info');
  installRuntime({ log });
  const { namespace, connectionOptions } = serverOrLocal({});
  const connection = await NativeConnection.connect(connectionOptions);
  const roots = resolveRoots(listOf(FILE_BACKUP_SOURCE_ROOTS), listOf(FILE_BACKUP_DESTINATION_ROOTS), { trustDestinations: FILE_BACKUP_TRUST_DESTINATION === 'true' });
  const taskQueue = FILE_BACKUP_TASK_QUEUE ?? hostTaskQueue(hostname());
  const worker = await createBackupWorker({ connection, namespace, taskQueue, roots, stateDirectory: stateDirectory(), payloadKeys: choosePayloadKeys(), log });
  onStopSignal(() => worker.shutdown());
  for (const root of missingRoots(roots)) log.warn({ root }, 'A root is no directory that is there: what is asked for below it fails until it is');
  log.info({ taskQueue, namespace, ...roots }, 'Worker started');
  await worker.run();
  await connection.close();
}

function listOf(paths: string): string[] {
  return paths.split(':').filter((path) => path !== '');
}

if (require.main === module) {
  guardStreams();
  run().catch((error: unknown) => {
    printNotes([messageOf(error)]);
    process.exit(1);
  });
}
