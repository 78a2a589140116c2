import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { randomBytes, randomUUID } from 'node:crypto';
import { join, resolve } from 'node:path';
import { Client } from '@temporalio/client';
import { NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { createBackupPlugin as createPackagePlugin } from 'temporal-file-backup/plugin';
import { createBackupPlugin, type BackupPluginOptions } from '../src/plugin';
import { BackupClient, payloadKeys, signingConverter } from '../src/client';
import { failure } from '../src/failures';
import { startProcess, type CommandEnd } from './cli/run-command';
import { startHarness, testServerAddress, type Harness } from './helpers/backup-harness';

const ROOT = resolve(__dirname, '..');

interface PackageFile {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly bin: Readonly<Record<string, string>>;
}

const { exports: entries, bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as PackageFile;

/** Runs a program of the package's user: the package is found by its name. */
function node(...args: string[]): Promise<CommandEnd> {
  return startProcess(process.execPath, args, { cwd: ROOT, env: { PATH: process.env.PATH } }).end;
}

let harness: Harness;

beforeAll(async () => {
  harness = await startHarness();
  writeFileSync(harness.path('source'), 'content');
});

afterAll(() => harness?.remove());

test.each(Object.entries(entries))('the entry %s is there, with its types', (_name, entry) => {
  const files = typeof entry === 'string' ? [entry] : [entry.types, entry.default];
  for (const file of files) expect(existsSync(join(ROOT, file))).toBe(true);
});

test('the command is there and can be executed', async () => {
  const { code, stdout } = await startProcess(join(ROOT, bin['file-backup'] ?? ''), ['--version'], { cwd: ROOT, env: { PATH: process.env.PATH } }).end;
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string });
});

test('every entry can be imported by name, and says what it has', async () => {
  const names = ['.', './activities', './workflows', './client', './worker', './plugin'].map((entry) => `temporal-file-backup${entry.slice(1)}`);
  const program = `
    const found = {};
    for (const name of ${JSON.stringify(names)}) found[name] = Object.entries(await import(name)).filter(([key, value]) => value !== undefined && !['default', 'module.exports', '__esModule'].includes(key)).map(([key]) => key);
    console.log(JSON.stringify(found));`;
  const { code, stdout, stderr } = await node('--input-type=module', '--eval', program);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const found = JSON.parse(stdout) as Record<string, string[]>;
  expect(found['temporal-file-backup']).toEqual(expect.arrayContaining(['BackupClient', 'createActivities', 'createBackupPlugin', 'createBackupWorker', 'FileBackupInput', 'FileBackupOutput', 'InvalidInputError', 'failureKinds', 'hostTaskQueue', 'TargetBusyError']));
  expect(found['temporal-file-backup/activities']).toContain('createActivities');
  expect(found['temporal-file-backup/workflows']).toEqual(['backupBatch', 'backupFile', 'backupSnapshot', 'restoreSnapshot', 'scheduledSnapshot']);
  expect(found['temporal-file-backup/client']).toEqual(expect.arrayContaining(['BackupClient', 'hostTaskQueue', 'InvalidInputError']));
  expect(found['temporal-file-backup/worker']).toEqual(expect.arrayContaining(['createBackupWorker', 'resolveRoots']));
  expect(found['temporal-file-backup/plugin']).toEqual(['createBackupPlugin']);
});

test('a program that only starts backups does not load the worker', async () => {
  const program = `require('temporal-file-backup/client'); console.log(JSON.stringify(Object.keys(require.cache).filter((path) => /@temporalio.(worker|core-bridge)|webpack|piscina|pino/.test(path))))`;
  expect(await node('--eval', program)).toMatchObject({ code: 0, stdout: '[]\n' });
});

describe('a worker of somebody else', () => {
  let connection: NativeConnection;

  beforeAll(async () => {
    connection = await NativeConnection.connect({ address: testServerAddress() });
  });

  afterAll(() => connection?.close());

  const pluginOptions = (): BackupPluginOptions => ({ sourceRoots: [harness.directory], destinationRoots: [harness.directory], stateDirectory: harness.stateDirectory });

  const hostOptions = (options: Partial<WorkerOptions> = {}): WorkerOptions => ({
    connection,
    taskQueue: `host-${randomUUID()}`,
    workflowsPath: require.resolve('./workflows/fixtures/host-workflows'),
    activities: { greet: (name: string) => Promise.resolve(`Hello, ${name}!`) },
    ...options,
  });

  test('backs files up by the plugin, beside the work that it did before', async () => {
    const seen: string[] = [];
    const options = hostOptions({
      plugins: [createBackupPlugin(pluginOptions())],
      interceptors: { activity: [({ info }) => ({ inbound: { execute: (input, next) => (seen.push(info.activityType), next(input)) } })] },
    });
    const worker = await Worker.create(options);
    await worker.runUntil(async () => {
      const client = new BackupClient({ connection, namespace: 'default', taskQueue: options.taskQueue });
      const backupPath = harness.path('target');
      expect(await client.backupFile({ sourcePath: harness.path('source'), backupPath })).toMatchObject({ success: true, publishedBy: 'link' });
      expect(readFileSync(backupPath, 'utf8')).toBe('content');
      expect(await client.backupFile({ sourcePath: '/etc/hostname', backupPath })).toMatchObject({ errorCode: 'SourceNotAllowed' });
      expect(await client.backupBatch({ sources: [harness.path('source')], backupDir: harness.path('batch') })).toMatchObject({ success: true, successfulFiles: 1 });
      const temporal = new Client({ connection });
      expect(await temporal.workflow.execute('greeting', { taskQueue: options.taskQueue, workflowId: `greeting-${randomUUID()}`, args: ['world'] })).toBe('Hello, world!');
    });
    // The host's own interceptors see our activities too.
    expect(seen).toEqual(expect.arrayContaining(['publishFile', 'greet']));
  });

  test('with keys, does backups and its own work only for who has them', async () => {
    const keys = payloadKeys([randomBytes(32)], { encrypt: true });
    // As it is installed: workflows, plugin and converter share what tells a proven value.
    const options = hostOptions({ plugins: [createPackagePlugin({ ...pluginOptions(), payloadKeys: keys })] });
    const { taskQueue } = options;
    const worker = await Worker.create(options);
    await worker.runUntil(async () => {
      const client = new BackupClient({ connection, namespace: 'default', taskQueue, payloadKeys: keys });
      const owner = new Client({ connection, dataConverter: signingConverter({ keys }) });
      const [sourcePath, backupPath] = [harness.path('source'), harness.path('with-keys')];
      expect(await client.backupFile({ sourcePath, backupPath })).toMatchObject({ success: true });
      expect(await client.backupBatch({ sources: [sourcePath], backupDir: harness.path('batch-with-keys') })).toMatchObject({ success: true, successfulFiles: 1 });
      expect(await owner.workflow.execute('greeting', { taskQueue, workflowId: `greeting-${randomUUID()}`, args: ['world'] })).toBe('Hello, world!');
      expect(await owner.workflow.execute('greetingWithBackup', { taskQueue, workflowId: `greeting-${randomUUID()}`, args: [sourcePath, harness.path('by-child')] })).toBe('Hello, committed!');
      expect(readFileSync(harness.path('by-child'), 'utf8')).toBe('content');

      const request = { sourcePath, backupPath: harness.path('forged') };
      const stranger = new Client({ connection });
      for (const [who, type, args] of [[stranger, 'greeting', ['world']], [stranger, 'backupFile', [request]], [owner, 'backupFile', [request]]] as const) {
        const { workflowId } = await who.workflow.start(type, { taskQueue, workflowId: `forged-${randomUUID()}`, args: [...args] });
        await expect(owner.workflow.getHandle(workflowId).result()).rejects.toMatchObject({ cause: { type: 'NotAuthentic' } });
      }
      expect(existsSync(request.backupPath)).toBe(false);
    });
  });

  test('without keys says so in its log, and with them wants no other converter beside its own', async () => {
    const payload = payloadKeys([randomBytes(32)]);
    const { logger } = Runtime.instance();
    const warn = jest.spyOn(logger, 'warn').mockImplementation(() => undefined);
    try {
      const worker = await Worker.create(hostOptions({ plugins: [createBackupPlugin(pluginOptions())] }));
      await worker.runUntil(Promise.resolve());
      expect(warn.mock.calls.map(([message]) => message)).toContainEqual(expect.stringContaining('has no key'));
    } finally {
      warn.mockRestore();
    }
    const withKeys = () => [createBackupPlugin({ ...pluginOptions(), payloadKeys: payload })];
    await expect(Worker.create(hostOptions({ plugins: withKeys(), dataConverter: {} }))).rejects.toThrow('has one of its own');
    await expect(Worker.create(hostOptions({ plugins: withKeys(), workflowsPath: undefined, workflowBundle: { code: '' } }))).rejects.toThrow('pass workflowsPath instead');
  });

  test('has the circuit breaker', async () => {
    const options = hostOptions({ plugins: [createBackupPlugin({ ...pluginOptions(), breaker: { failureThreshold: 1 } })], interceptors: { activity: [({ info }) => ({ inbound: { execute: (input, next) => (info.activityType === 'stageFile' ? Promise.reject(failure('DestinationError', 'Made to fail')) : next(input)) } })] } });
    const worker = await Worker.create(options);
    await worker.runUntil(async () => {
      const client = new BackupClient({ connection, namespace: 'default', taskQueue: options.taskQueue });
      const request = { sourcePath: harness.path('source'), backupPath: harness.path('never'), maxRetries: 0, onCircuitOpen: 'fail' as const };
      expect(await client.backupFile(request)).toMatchObject({ errorCode: 'DestinationError' });
      expect(await client.backupFile(request)).toMatchObject({ errorCode: 'CircuitOpen' });
    });
  });

  test('is told at once what cannot be', async () => {
    const plugin = createBackupPlugin(pluginOptions());
    await expect(Worker.create(hostOptions({ plugins: [plugin], activities: { stageFile: () => Promise.resolve() } }))).rejects.toThrow("activities of the backup plugin's names already: stageFile");
    await expect(Worker.create(hostOptions({ plugins: [plugin] }))).rejects.toThrow('A backup plugin serves one worker');
    await expect(Worker.create(hostOptions({ plugins: [createBackupPlugin(pluginOptions())], connection: undefined }))).rejects.toThrow("needs the worker's connection");
  });
});

function example(name: string, ...args: string[]): Promise<CommandEnd> {
  const env = { PATH: process.env.PATH, HOME: harness.directory, TEMPORAL_ADDRESS: testServerAddress(), FILE_BACKUP_TASK_QUEUE: harness.taskQueue, FILE_BACKUP_PAYLOAD_KEY: 'none' };
  return startProcess(process.execPath, [join(ROOT, 'examples', name), ...args], { cwd: harness.directory, env }).end;
}

test('the example of the tutorial backs a file up, and says what went wrong where it did', async () => {
  const good = await example('back-up-important-file.mjs', 'source', 'backups/source');
  expect(good).toMatchObject({ code: 0, stderr: '' });
  expect(good.stdout).toMatch(/^✅ Backup successful!\n {3}Size: 7 bytes\n {3}Verified: true\n {3}Time: \d+\.\d\d ms\n$/);
  expect(readFileSync(harness.path('backups', 'source'), 'utf8')).toBe('content');
  const bad = await example('back-up-important-file.mjs', 'missing', 'backups/missing');
  expect(bad).toMatchObject({ code: 1, stderr: '' });
  expect(bad.stdout).toMatch(/^❌ Backup failed: .*missing.*ENOENT/);
  expect(await example('back-up-important-file.mjs', 'source')).toMatchObject({ code: 2, stdout: '' });
});

test('the batch example of the tutorial reports what was backed up, what failed and why', async () => {
  const { code, stdout, stderr } = await example('back-up-multiple-files.mjs', 'many', 'source', 'missing');
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  expect(stdout).toMatch(/^\n📊 Backup Summary:\n {3}Total: 2\n {3}✅ Successful: 1\n {3}❌ Failed: 1\n {6}\/.*\/missing: SourceNotFound: .*\n\n📈 Statistics:\n {3}Success Rate: \d+\.\d%\n {3}Total Bytes: [\d,]+\n$/);
  expect(readFileSync(harness.path('many', 'source.backup'), 'utf8')).toBe('content');
  expect(await example('back-up-multiple-files.mjs', 'many')).toMatchObject({ code: 2, stdout: '' });
});
