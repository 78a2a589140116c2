import { randomUUID } from 'node:crypto';
import { project } from './project.mjs';

const POOL_THREADS = 10;
const illness = { codes: { source: [], destination: [] }, borne: [], mostFailures: 20 };

/** The storage functions of a batch in the worker's thread pool, with its lanes and syncs, and without Temporal. */
export function openEngine(workplace) {
  const { ThreadPool } = project('activities/thread-pool.js');
  const { FileSystemSync } = project('activities/file-system-sync.js');
  const { BatchBackupInput } = project('batch-models.js');
  const pool = new ThreadPool(POOL_THREADS);
  const syncs = new FileSystemSync();
  return {
    async run({ list, destination, verifyFrom }) {
      const { lanes } = BatchBackupInput.parse({ sources: ['/file'], backupDir: destination });
      const location = { root: workplace.destinations, destination, runId: randomUUID() };
      const owner = { clusterId: 'none', namespace: 'none', workflowId: 'none', runId: location.runId };
      const settings = { location, sourceRoots: [workplace.sources], verify: verifyFrom, onSourceChanged: 'fail', keepPrevious: false, syncEach: false };
      const ground = await pool.run('inspectRun', { location });
      await pool.run('openRun', { location, owner, ground, needsHardLinks: false });
      const { chunks } = await pool.run('planBatch', { location, owner, list: { path: list, separator: 'nul' }, layout: 'tree', rehash: false });
      let next = 0;
      const lane = async () => {
        while (next < chunks) await runChunk({ settings, chunk: next, attemptName: `${next++}-1`, workflowId: owner.workflowId, illness, pass: 0, only: [] });
      };
      await Promise.all(Array.from({ length: lanes }, lane));
      return pool.run('sealRun', { location, chunks, facts: {}, keepRuns: 30 });
    },
    close: () => pool.close(),
  };

  async function runChunk(task) {
    await pool.run('backUpChunk', task, undefined, syncs.since(task.settings.location.destination));
  }
}
