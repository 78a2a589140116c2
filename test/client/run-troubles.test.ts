import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Context } from '@temporalio/activity';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } from '@temporalio/worker';
import { BackupClient, BatchUpdateError } from '../../src/client';
import { startHarness, type Harness } from '../helpers/backup-harness';
import { startServer, stopServer, type TestServer } from '../helpers/server';
import { until } from '../helpers/target-state';

/** Of its own: workflows can be paused only where that is switched on. */
let server: TestServer;
let harness: Harness;
let held: { readonly step: string; readonly reached: () => void; readonly released: Promise<void> } | undefined;

beforeAll(async () => {
  server = await startServer(process.env.TEST_TEMPORAL_CLI ?? 'temporal', ['--dynamic-config-value', 'frontend.WorkflowPauseEnabled=true']);
  harness = await startHarness({
    address: server.address,
    around: async (step, _attempt, next) => {
      if (step !== held?.step) return next();
      held.reached();
      const heartbeat = setInterval(() => Context.current().heartbeat(), 100);
      await Promise.race([held.released, Context.current().cancelled]).finally(() => clearInterval(heartbeat));
      return next();
    },
  });
});

afterAll(async () => {
  await harness?.remove();
  await stopServer(server?.supervisor);
});

function hold(step: string): { readonly reached: Promise<void>; release(): void } {
  let [release, reach] = [(): void => undefined, (): void => undefined];
  const released = new Promise<void>((resolve) => (release = resolve));
  const reached = new Promise<void>((resolve) => (reach = resolve));
  held = { step, reached: () => reach(), released };
  return { reached, release: () => release() };
}

function source(): string {
  const path = harness.path(`source-${randomUUID()}`);
  writeFileSync(path, 'content');
  return path;
}

async function pause(workflowId: string): Promise<void> {
  await harness.temporal.connection.workflowService.pauseWorkflowExecution({ namespace: 'default', workflowId, identity: 'alice', reason: 'the disk is moved', requestId: randomUUID() });
}

async function unpause(workflowId: string): Promise<void> {
  await harness.temporal.connection.workflowService.unpauseWorkflowExecution({ namespace: 'default', workflowId, identity: 'alice', reason: '', requestId: randomUUID() });
}

const PAUSED = /^paused: the whole run by alice since \d{4}-.*Z: the disk is moved$/;

describe('a run that somebody has paused on the server', () => {
  test('is alive: a batch shows by whom and since when, says so when it is to be paused, and goes on', async () => {
    const chunk = hold('backupChunk');
    const run = await harness.client.startBackupBatch({ sources: [source()], backupDir: harness.path('backups'), retryDelayMs: 100 });
    await chunk.reached;
    await pause(run.workflowId);
    await until('it is paused', async () => (await harness.client.describe(run.workflowId)).state === 'paused');
    expect(await harness.client.batchProgress(run)).toMatchObject({ isRunning: true, state: 'paused', waitingFor: expect.stringMatching(PAUSED) as string });
    expect(await harness.client.describe(run.workflowId)).toMatchObject({ status: 'PAUSED', reason: null, waitingFor: expect.stringMatching(PAUSED) as string });
    const refused = harness.client.pause(run.workflowId);
    await expect(refused).rejects.toThrow(BatchUpdateError);
    await expect(refused).rejects.toThrow(/is paused by Temporal's own means \(the whole run by alice .*temporal workflow unpause/);
    await unpause(run.workflowId);
    chunk.release();
    expect(await run.result()).toMatchObject({ success: true });
  });

  test('is alive: so is a file', async () => {
    const stage = hold('stageFile');
    const path = source();
    const run = await harness.client.startBackupFile({ sourcePath: path, backupPath: `${path}.backup`, retryDelayMs: 100 });
    await stage.reached;
    await pause(run.workflowId);
    await until('it is paused', async () => (await harness.client.progress(run)).paused !== null);
    expect(await harness.client.progress(run)).toMatchObject({ isRunning: true, paused: expect.stringMatching(PAUSED) as string });
    await unpause(run.workflowId);
    stage.release();
    expect(await run.result()).toMatchObject({ success: true });
    expect(await harness.client.progress(run)).toMatchObject({ isRunning: false, paused: null });
  });
});

test('a worker that cannot go on with a run is quoted, until one comes that can', async () => {
  held = undefined;
  const taskQueue = `incompatible-${randomUUID()}`;
  const connection = await NativeConnection.connect({ address: server.address });
  const client = new BackupClient({ connection, namespace: 'default', taskQueue });
  const run = await client.startBackupBatch({ sources: [source()], backupDir: harness.path('others'), retryDelayMs: 100 });
  expect(await client.describe(run.workflowId)).toMatchObject({ state: 'interrupted', taskFailure: null });
  // It knows backups of files alone.
  const workflowBundle = await bundleWorkflowCode({ workflowsPath: require.resolve('../workflows/fixtures/same-order'), logger: new DefaultLogger('ERROR') });
  const worker = await Worker.create({ connection, namespace: 'default', taskQueue, workflowBundle });
  await worker.runUntil(until('its task has failed', async () => (await client.describe(run.workflowId)).taskFailure !== null));
  expect((await client.describe(run.workflowId)).taskFailure).toMatch(/backupBatch/);
  const able = await startHarness({ address: server.address, like: { ...harness, taskQueue } });
  try {
    expect(await run.result()).toMatchObject({ success: true });
    expect(await client.describe(run.workflowId)).toMatchObject({ state: 'committed', taskFailure: null });
  } finally {
    await able.stop();
    await connection.close();
  }
});
