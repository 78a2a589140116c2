import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import { hostname } from 'node:os';
import { hostTaskQueue, operationTaskQueue } from '../../src/core/names';
import { signingConverter } from '../../src/keys/data-converter';
import { stateKeys } from '../../src/keys/key-file';
import { payloadKeys } from '../../src/keys/payload-keys';
import { BatchBackupInput } from '../../src/batch-models';
import { FileBackupInput } from '../../src/models';
import { bindAll } from '../../src/proof/bound';
import { fileWorkflowId } from '../../src/workflow-ids';
import { completion, failureTypeOf, meetStranger, plain, stepsIn, type Stranger } from '../helpers/stranger';
import { createWorkplace, onTestServer, until } from './run-command';

const place = createWorkplace();
let stranger: Stranger;

beforeAll(async () => {
  stranger = await meetStranger();
});
afterAll(async () => {
  await stranger?.close();
  await place.remove();
});

test('a backup that somebody else has ended is no backup: exit 1, and nothing on standard output', async () => {
  writeFileSync(place.path('source'), 'content');
  const command = place.start(['file', 'source', 'target', '--task-queue', 'file-backup-nobody'], { env: onTestServer() });
  const record = { success: true, verified: true, sourcePath: place.path('source'), backupPath: place.path('target'), backupSizeBytes: 7, sha256: 'a'.repeat(64) };
  await stranger.answerWorkflowTask('file-backup-nobody', [completion([plain(record)])]);
  const { code, stdout, stderr } = await command.end;
  expect([code, stdout, existsSync(place.path('target'))]).toEqual([1, '', false]);
  expect(stderr).toContain('NotAuthentic: Its result is not signed: somebody without the key has ended the run.');
});

test('the worker of a command serves its own request only, even where others are signed with the same key', async () => {
  writeFileSync(place.path('big'), '');
  truncateSync(place.path('big'), 256 * 1024 ** 2);
  writeFileSync(place.path('secret'), 'secret');
  const operationId = '11111111-2222-4333-8444-555555555555';
  const command = place.start(['file', 'big', 'copy', '--json', '--operation-id', operationId], { env: onTestServer() });
  const connection = await Connection.connect({ address: process.env.TEST_TEMPORAL_ADDRESS });
  try {
    await until(() => command.printed().includes('"started"'), 'the run has begun');
    const owner = new Client({ connection, dataConverter: signingConverter({ keys: payloadKeys(stateKeys(place.stateDirectory)) }) });
    const storage = hostTaskQueue(hostname());
    const taskQueue = operationTaskQueue(storage, operationId);
    const ask = async (workflowType: string, workflowId: string, args: readonly unknown[]) => {
      const bound = bindAll(args, { kind: 'start', workflowType, taskQueue, nonce: workflowId, madeAtMs: Date.now() });
      const handle = await owner.workflow.start(workflowType, { workflowId, taskQueue, args: bound });
      return { workflowId, runId: handle.firstExecutionRunId };
    };
    const file = { sourcePath: place.path('secret'), backupPath: place.path('stolen') };
    const runs = [
      await ask('backupFile', fileWorkflowId(storage, file.backupPath), [FileBackupInput.parse(file)]),
      await ask('backupBatch', 'batch', [BatchBackupInput.parse({ sources: [place.path('secret')], backupDir: place.path('stolen') }), { storage }]),
    ];
    for (const run of runs) {
      expect(await failureTypeOf(new Client({ connection }), run)).toBe('NotAuthentic');
      expect(stepsIn(await stranger.history(run))).toEqual([]);
    }
    expect(existsSync(place.path('stolen'))).toBe(false);
    expect(await command.end).toMatchObject({ code: 0 });
  } finally {
    await connection.close();
  }
});

test('a key that others can read is refused before anything is started', async () => {
  writeFileSync(place.path('open.key'), `${'ab'.repeat(32)}\n`, { mode: 0o644 });
  const { code, stderr } = await place.run(['file', 'source', 'target', '--payload-key', 'open.key'], { env: onTestServer() });
  expect([code, stderr]).toEqual([2, expect.stringContaining('others may read or change it (mode 644)')]);
});
