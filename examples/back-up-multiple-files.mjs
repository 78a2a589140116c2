// node examples/back-up-multiple-files.mjs DIRECTORY FILE…
//
// Backs several files up into one directory from a program of your own, and reports as the tutorial did. It needs a
// Temporal server and a worker of this host; see back-up-important-file.mjs.
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { BackupClient, hostTaskQueue } from 'temporal-file-backup/client';

async function backUpMultipleFiles(files, directory) {
  const client = await BackupClient.connect({ taskQueue: process.env.FILE_BACKUP_TASK_QUEUE ?? hostTaskQueue(hostname()) });
  try {
    const result = await client.backupBatch({
      sources: files.map((file) => resolve(file)),
      backupDir: resolve(directory),
      maxRetries: 2,
    });
    console.log('\n📊 Backup Summary:');
    console.log(`   Total: ${result.totalFiles}`);
    console.log(`   ✅ Successful: ${result.successfulFiles}`);
    console.log(`   ❌ Failed: ${result.failedFiles}`);
    for (const { path, type, message } of result.failureSample) console.log(`      ${path}: ${type}: ${message}`);
    if (result.errorCode !== null) console.log(`   ${result.errorCode}: ${result.errorMessage}`);

    const statistics = await client.statistics();
    console.log('\n📈 Statistics:');
    console.log(`   Success Rate: ${statistics.successRatePercent.toFixed(1)}%`);
    console.log(`   Total Bytes: ${statistics.totalBytesBackedUp.toLocaleString('en-US')}`);
    return result.success;
  } finally {
    await client.close();
  }
}

const [directory, ...files] = process.argv.slice(2);
if (directory === undefined || files.length === 0) {
  console.error('Usage: node examples/back-up-multiple-files.mjs DIRECTORY FILE…');
  process.exit(2);
}
process.exitCode = (await backUpMultipleFiles(files, directory)) ? 0 : 1;
