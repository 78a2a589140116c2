import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { startPlace, startWorkerProcess } from '../helpers/worker-process';
import { until } from '../helpers/target-state';

const FILES = 1_000_000;
const MOST_BYTES = 350 * 1024 * 1024;

/** A list of so many files, none of which exists: what is planned is the list. */
function writeList(path: string, directory: string) {
  const hash = createHash('sha256');
  const descriptor = openSync(path, 'w');
  for (let first = 0; first < FILES; first += 10_000) {
    const lines = Array.from({ length: 10_000 }, (_, index) => `${directory}/some/where/below/file-${first + index}\0`).join('');
    hash.update(lines);
    writeSync(descriptor, lines);
  }
  closeSync(descriptor);
  return { path, sha256: hash.digest('hex') };
}

/** The most memory that a process has had, as the kernel counts it. */
function peakBytes(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

(process.platform === 'linux' ? test : test.skip)(
  'a batch of a million files is planned and sealed by a worker of less than 350 MiB',
  async () => {
    const place = await startPlace();
    const worker = startWorkerProcess(place);
    try {
      const handle = await place.client.startBackupBatch({ sourceList: writeList(place.path('list'), place.directory), backupDir: place.path('backups'), layout: 'tree' });
      await until('the batch is planned', async () => (await place.client.batchProgress(handle)).files === FILES);
      await place.client.cancel(handle.workflowId);
      const { totalFiles, failedFiles, skippedFiles } = await handle.result();
      expect({ totalFiles, ended: failedFiles + skippedFiles }).toEqual({ totalFiles: FILES, ended: FILES });
      expect(peakBytes(worker.pid)).toBeLessThan(MOST_BYTES);
    } finally {
      await worker.stop();
      await place.remove();
    }
  },
  180_000,
);
