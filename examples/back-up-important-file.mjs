// node examples/back-up-important-file.mjs SOURCE TARGET
//
// Backs one file up from a program of your own. It needs a Temporal server and a worker of this host, for instance
//   file-backup server
//   file-backup worker --address 127.0.0.1:7233 --source-root /etc --destination-root /backups
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { BackupClient, hostTaskQueue } from 'temporal-file-backup/client';

async function backUpImportantFile(source, target) {
  // The server of TEMPORAL_ADDRESS or of a Temporal profile, else the one on this machine.
  const client = await BackupClient.connect({ taskQueue: process.env.FILE_BACKUP_TASK_QUEUE ?? hostTaskQueue(hostname()) });
  try {
    const result = await client.backupFile({
      sourcePath: resolve(source),
      backupPath: resolve(target),
      atomic: true,
      verifyBackup: true,
      maxRetries: 3,
    });
    if (result.success) {
      console.log('✅ Backup successful!');
      console.log(`   Size: ${result.backupSizeBytes} bytes`);
      console.log(`   Verified: ${result.checksumMatch}`);
      console.log(`   Time: ${result.processingTimeMs.toFixed(2)} ms`);
    } else {
      console.log(`❌ Backup failed: ${result.errorMessage}`);
    }
    return result.success;
  } finally {
    await client.close();
  }
}

const [source, target] = process.argv.slice(2);
if (source === undefined || target === undefined) {
  console.error('Usage: node examples/back-up-important-file.mjs SOURCE TARGET');
  process.exit(2);
}
process.exitCode = (await backUpImportantFile(source, target)) ? 0 : 1;
