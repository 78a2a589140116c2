import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { NativeConnection, Worker } from '@temporalio/worker';
import { BackupClient } from '../../src/client';
import { readOutput } from '../../src/client/read-output';
import { readProgress } from '../../src/client/read-progress';
import { createLogger } from '../../src/log';
import { FileBackupOutput } from '../../src/models';
import { initRepository } from '../../src/storage/snapshot/repository';
import { resolveRoots } from '../../src/worker';
import { createBackupParts } from '../../src/worker/backup-parts';
import { WORKFLOW_BUNDLE } from '../../src/worker/create-worker';
import { createWorkplace, type Workplace } from '../cli/run-command';
import { startHarness, testServerAddress, type Harness } from '../helpers/backup-harness';
import { sha256Of } from '../helpers/target-state';

jest.setTimeout(120_000);

/** Text of the workflows, and what another version has in its place. */
type Edits = Readonly<Record<string, string>>;

/** A worker of another version of the program. */
interface Version {
  readonly taskQueue: string;
  readonly client: BackupClient;
  stop(): Promise<void>;
}

let harness: Harness;
let workplace: Workplace;
let connection: NativeConnection;
let source: string;
const versions: Version[] = [];

beforeAll(async () => {
  harness = await startHarness();
  workplace = createWorkplace();
  connection = await NativeConnection.connect({ address: testServerAddress() });
  mkdirSync(harness.path('sources'));
  source = harness.path('sources', 'file');
  writeFileSync(source, 'content of the source');
});

afterAll(async () => {
  for (const version of versions) await version.stop();
  await connection?.close();
  await workplace?.remove();
  await harness?.remove();
});

async function startVersion(name: string, edits: Edits): Promise<Version> {
  const taskQueue = `test-${randomUUID()}`;
  const codePath = `${harness.stateDirectory}/${name}.js`;
  writeFileSync(codePath, edited(readFileSync(WORKFLOW_BUNDLE, 'utf8'), edits));
  const parts = await createBackupParts({ connection, namespace: 'default', roots: resolveRoots([harness.directory], [harness.directory]), stateDirectory: harness.stateDirectory, log: createLogger('silent') });
  const worker = await Worker.create({ connection, namespace: 'default', taskQueue, workflowBundle: { codePath }, activities: parts.activities });
  const running = parts.during(() => worker.run());
  const stop = async (): Promise<void> => {
    worker.shutdown();
    await running;
  };
  const version = { taskQueue, client: new BackupClient({ connection, namespace: 'default', taskQueue }), stop };
  versions.push(version);
  return version;
}

function edited(code: string, edits: Edits): string {
  return Object.entries(edits).reduce((text, [old, other]) => {
    if (!text.includes(old)) throw new Error(`The workflows hold no ${JSON.stringify(old)}`);
    return text.replaceAll(old, other);
  }, code);
}

function commandFor({ taskQueue }: Version, args: readonly string[]) {
  return workplace.run([...args, '--task-queue', taskQueue, '--payload-key', 'none', '--address', testServerAddress(), '--json']);
}

function resultOf(stdout: string): unknown {
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

describe('a worker of a later version, whose records say more', () => {
  let later: Version;

  beforeAll(async () => {
    later = await startVersion('later', {
      'success: ': 'addedLater: { by: \'a later version\' }, success: ',
      'publishedBy: run.publishedBy,': 'publishedBy: run.publishedBy === null ? null : \'aWayOfLater\',',
      'status: rollbackStatus(run, saga, steps), steps': 'status: rollbackStatus(run, saga, steps), addedLater: 1, steps',
      'chunks: batch?.chunks ?? 0,': 'chunks: batch?.chunks ?? 0, addedLater: [1],',
    });
  });

  test('has its committed file believed by the command, with exit code 0', async () => {
    const target = harness.path('later-file');
    const { code, stdout, stderr } = await commandFor(later, ['file', source, target]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(resultOf(stdout)).toMatchObject({ success: true, publishedBy: null, sha256: sha256Of(source) });
    expect(sha256Of(target)).toBe(sha256Of(source));
  });

  test('has its batch, snapshot and restore believed', async () => {
    const repository = harness.path('repository');
    initRepository(repository);
    await expect(later.client.backupBatch({ sources: [source], backupDir: harness.path('later-backups') })).resolves.toMatchObject({ success: true, successfulFiles: 1 });
    await expect(later.client.backupSnapshot({ sources: [source], repository })).resolves.toMatchObject({ success: true, status: 'complete' });
    await expect(later.client.restoreSnapshot({ repository, target: harness.path('later-restored') })).resolves.toMatchObject({ success: true });
    expect(sha256Of(harness.path('later-restored', source))).toBe(sha256Of(source));
  });

  test('has its failures told with their own type and message', async () => {
    const { code, stdout } = await commandFor(later, ['file', harness.path('sources', 'missing'), harness.path('never')]);
    expect(code).toBe(1);
    expect(resultOf(stdout)).toMatchObject({ success: false, errorCode: 'SourceNotFound' });
    // Undone, with a field of a later version inside of what undo did.
    mkdirSync(harness.path('a-directory'));
    await expect(later.client.backupFile({ sourcePath: source, backupPath: harness.path('a-directory') })).resolves.toMatchObject({ success: false, errorCode: 'TargetInvalid', rollback: { status: 'notNeeded', steps: [] } });
  });
});

describe('a worker of an earlier version, whose records say less', () => {
  let earlier: Version;

  beforeAll(async () => {
    earlier = await startVersion('earlier', {
      'sourceChanged: copied?.changed ?? false,': '',
      'duplicateEntries: ': 'duplicatesOfEarlier: ',
      'progressQuery, () => progressOf(run)': 'progressQuery, () => ({ ...progressOf(run), failuresByType: undefined, current: undefined, waitingFor: undefined })',
    });
  });

  test('has its committed file believed, with what is missing as if there were none of it', async () => {
    await expect(earlier.client.backupFile({ sourcePath: source, backupPath: harness.path('earlier-file') })).resolves.toMatchObject({ success: true, sourceChanged: false, publishedBy: 'link' });
    expect(sha256Of(harness.path('earlier-file'))).toBe(sha256Of(source));
  });

  test('has its batch shown and believed by the command', async () => {
    const { code, stdout } = await commandFor(earlier, ['batch', source, '--to', harness.path('earlier-backups')]);
    expect(code).toBe(0);
    expect(resultOf(stdout)).toMatchObject({ success: true, successfulFiles: 1, duplicateEntries: 0 });
  });
});

test('a run whose record is none at all has ended with a typed failure, and not been lost', async () => {
  const other = await startVersion('other', { 'success: ': 'hasWorked: ' });
  const { code, stdout } = await commandFor(other, ['file', source, harness.path('other-file')]);
  expect(code).toBe(1);
  expect(resultOf(stdout)).toMatchObject({ success: false, errorCode: 'UnexpectedError', errorMessage: expect.stringContaining('none that this version of the client can read') as string });
});

describe('reading what another version has written', () => {
  const neutral = { success: false, warnings: [], createdDirectories: [], retryCount: 0, rollback: { status: 'failed', steps: [] } } as unknown as FileBackupOutput;

  test.each([
    ['a list that has grown past today\'s bound', { rollback: { status: 'performed', steps: Array.from({ length: 12 }, () => ({ step: 'x', status: 'performed', message: null, more: 1 })) } }, { rollback: { status: 'performed', steps: Array.from({ length: 12 }, () => ({ step: 'x', status: 'performed', message: null })) } }],
    ['a number that has become a text', { retryCount: 'many' }, { retryCount: 0 }],
    ['a list that is gone', { warnings: undefined }, { warnings: [] }],
    ['a way of undoing that is not known here', { rollback: { status: 'halfway', steps: [] } }, { rollback: { status: 'failed', steps: [] } }],
  ])('takes %s', (_what, fields, expected) => {
    expect(readOutput(FileBackupOutput, { ...neutral, success: true, ...fields }, neutral)).toMatchObject({ success: true, ...expected });
  });

  test.each([[null], ['done'], [[]], [{ success: 'yes' }], [{}]])('takes %j for no record', (record) => {
    expect(readOutput(FileBackupOutput, record, neutral)).toBeUndefined();
  });

  test.each([[undefined], [null], ['running'], [{ state: 'dreaming', chunks: '9', sample: {}, remainingMs: {} }]])('a display has something to show of %j', (answer) => {
    expect(readProgress(answer)).toMatchObject({ chunks: 0, sample: [], failuresByType: {}, remainingMs: null });
  });
});
