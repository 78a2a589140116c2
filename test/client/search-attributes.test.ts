import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection, type ConnectionLike } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { BackupClient, RunNotFoundError } from '../../src/client';
import { registerSearchAttributes } from '../../src/client/search-attributes';
import { createLogger, installRuntime } from '../../src/log';
import { freePort } from '../../src/server/ports';
import { createBackupWorker, resolveRoots } from '../../src/worker';

/** A server of its own, which has never heard of this project. */
let server: ChildProcess;
let folder: string;
let address: string;
let connection: NativeConnection;
let worker: Awaited<ReturnType<typeof createBackupWorker>>;
let running: Promise<void>;

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'file-backup-attributes-')));
  address = `127.0.0.1:${await freePort()}`;
  server = spawn(process.env.TEST_TEMPORAL_CLI ?? 'temporal', ['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--log-level', 'error', '--port', address.split(':')[1] ?? ''], { stdio: 'ignore' });
  const log = createLogger('silent');
  installRuntime({ log });
  connection = await connected();
  const roots = resolveRoots([folder], [folder]);
  worker = await createBackupWorker({ connection, namespace: 'default', taskQueue: 'files', roots, stateDirectory: join(folder, 'state'), log, shutdownGraceMs: 0 });
  running = worker.run();
  writeFileSync(join(folder, 'source'), 'content');
});

afterAll(async () => {
  worker?.shutdown();
  await running;
  await connection?.close();
  server.kill('SIGKILL');
  await once(server, 'exit');
  rmSync(folder, { recursive: true, force: true });
});

async function connected(): Promise<NativeConnection> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    try {
      const established = await NativeConnection.connect({ address });
      // The namespace comes a moment after the server.
      await established.workflowService.describeNamespace({ namespace: 'default' });
      return established;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function client(over: ConnectionLike = connection): BackupClient {
  return new BackupClient({ connection: over, namespace: 'default', taskQueue: 'files' });
}

/** A connection to the same server that may not change it, as on Temporal Cloud. */
function refusing(): ConnectionLike {
  const refuse = (): Promise<never> => Promise.reject(new Error('PERMISSION_DENIED: Request unauthorized'));
  return Object.create(connection, { operatorService: { value: { listSearchAttributes: refuse, addSearchAttributes: refuse } } }) as ConnectionLike;
}

const request = (target: string) => ({ sourcePath: join(folder, 'source'), backupPath: join(folder, target) });

test('where registering is refused, backups go on without search attributes, and the reason is kept', async () => {
  const limited = client(refusing());
  const run = await limited.startBackupFile(request('first'));
  const { operationId, workflowId } = run;
  expect(await run.result()).toMatchObject({ success: true, operationId });
  expect(await limited.searchAttributes()).toEqual({ registered: false, reason: 'PERMISSION_DENIED: Request unauthorized' });
  expect(await limited.describe(workflowId)).toMatchObject({ operationId, status: 'COMPLETED', state: 'committed', sizeBytes: 0 });
  expect(await limited.runs(10)).toEqual([expect.objectContaining({ operationId, state: 'committed' })]);
  expect(await limited.statistics()).toMatchObject({ successfulBackups: 1, totalBytesBackedUp: 0 });
});

test('without search attributes an operation sent twice still runs once, and is found by its id', async () => {
  const limited = client(refusing());
  const same = { ...request('repeated'), operationId: '11111111-2222-4333-8444-555555555555' };
  const first = await limited.backupFile(same);
  expect(await limited.backupFile(same)).toEqual(first);
  expect(await limited.describe(same.operationId)).toMatchObject({ operationId: same.operationId, backupPath: same.backupPath, status: 'COMPLETED' });
  await expect(limited.describe('00000000-0000-4000-8000-000000000000')).rejects.toThrow(RunNotFoundError);
});

test('a server that lacks the search attributes gets them, once', async () => {
  expect(await attributes()).toEqual([]);
  expect(await registerSearchAttributes(connection, 'default')).toEqual({ registered: true });
  expect(await attributes()).toEqual(['FileBackupBytes', 'FileBackupOperationId', 'FileBackupState']);
  expect(await registerSearchAttributes(connection, 'default')).toEqual({ registered: true });
});

test('from then on runs carry them, and statistics add up', async () => {
  await registerSearchAttributes(connection, 'default');
  const earlier = await client().statistics();
  const { operationId } = await startedOnceTaken('good');
  await client().backupFile({ ...request('bad'), sourcePath: join(folder, 'missing') });
  const temporal = new Client({ connection });
  await until(async () => (await temporal.workflow.count(`FileBackupState = 'failed' AND FileBackupBytes = 0`)).count === 1);
  await until(async () => (await temporal.workflow.count(`FileBackupOperationId = '${operationId}' AND FileBackupState = 'committed' AND FileBackupBytes = 7`)).count === 1);
  const { successfulBackups, failedBackups, totalBackups, successRatePercent, ...rest } = await client().statistics();
  expect(rest).toMatchObject({ runningBackups: 0, totalBatches: 0, totalBytesBackedUp: earlier.totalBytesBackedUp + 7 });
  expect(failedBackups).toBe(1);
  expect(totalBackups).toBe(successfulBackups + 1);
  expect(successRatePercent).toBeCloseTo((successfulBackups / totalBackups) * 100);
});

test('a connection of Temporal\'s other client registers them as well', async () => {
  const other = await Connection.connect({ address });
  try {
    expect(await registerSearchAttributes(other, 'default')).toEqual({ registered: true });
  } finally {
    await other.close();
  }
});

async function attributes(): Promise<string[]> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
  return Object.keys(customAttributes).filter((name) => name.startsWith('FileBackup')).sort();
}

/** The server takes new attributes a moment after it has registered them. */
async function startedOnceTaken(target: string): Promise<{ operationId: string }> {
  const handle = await client().startBackupFile(request(target));
  expect(await handle.result()).toMatchObject({ success: true });
  return handle;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('It did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
