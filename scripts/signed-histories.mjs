// Signed runs whose histories scripts/record-histories.mjs records.
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Known to everybody: of recorded histories, and of nothing else. The replay test has the same. */
export const HISTORIES_SECRET = Buffer.alloc(32, 'recorded histories');

/** Chunks of a batch, so many that it continues as new on a server that suggests it early. */
const CHUNKS = 14;
const PLANNED_BYTES = 200 * 1024 * 1024;

const operationIdOf = (number) => `00000000-0000-4000-8000-${String(300 + number).padStart(12, '0')}`;

/** Each answers the histories of its executions by name. */
export const signedScenarios = {
  async 'signed-file'({ client, folder, historyOf }) {
    return { 'signed-file': await historyOf(await backUp(client, folder, 0)) };
  },

  /** Reset to where it had looked at source and target, and to its beginning. */
  async 'signed-reset'({ client, folder, historyOf, reset }) {
    const first = await backUp(client, folder, 1);
    const middle = await reset(first, 1);
    const beginning = await reset(middle, 0);
    return { 'signed-reset-middle': await historyOf(middle), 'signed-reset-beginning': await historyOf(beginning) };
  },

  async 'signed-batch'({ client, folder, historyOf }) {
    const sources = Array.from({ length: CHUNKS }, (_, index) => join(folder, `file-${index}`));
    for (const path of sources) {
      writeFileSync(path, '');
      truncateSync(path, PLANNED_BYTES);
    }
    const handle = await client.startBackupBatch({ sources, backupDir: join(folder, 'backups'), retryDelayMs: 100, lanes: 1, operationId: operationIdOf(2) });
    const { workflowId, firstRunId } = handle;
    await handle.result();
    return { 'signed-batch-continued': await historyOf({ workflowId, runId: firstRunId }), 'signed-batch-continued-last': await historyOf(handle) };
  },
};

/** What a step of these goes through: long files become short once they are planned. */
export function aroundSigned(folder) {
  return async (step, _attempt, run) => {
    const result = await run();
    if (step === 'planBatch') for (let index = 0; index < CHUNKS; index += 1) writeFileSync(join(folder, `file-${index}`), 'content\n');
    return result;
  };
}

async function backUp(client, folder, number) {
  writeFileSync(join(folder, 'source'), 'content\n');
  const handle = await client.startBackupFile({ sourcePath: join(folder, 'source'), backupPath: join(folder, 'target'), retryDelayMs: 100, operationId: operationIdOf(number) });
  await handle.result();
  return handle;
}
