import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Context } from '@temporalio/activity';
import { BatchUpdateError, InvalidInputError, OperationReusedError, TargetBusyError } from '../../src/client';
import type { BatchBackupRequest } from '../../src/batch-models';
import { doneSoFar } from '../../src/client/batch-progress';
import { startHarness, type Harness } from '../helpers/backup-harness';
import { until } from '../helpers/target-state';

/** Backup directories whose chunks wait until they are let go. */
const gates = new Map<string, Promise<void>>();

let harness: Harness;

beforeAll(async () => {
  harness = await startHarness({
    around: async (step, _attempt, run) => {
      const [, gate] = [...gates].find(([directory]) => Context.current().info.activityType === 'backupChunk' && isAbout(directory)) ?? [];
      if (step === 'backupChunk' && gate !== undefined) await Promise.race([gate, Context.current().cancelled]);
      return run();
    },
  });
  mkdirSync(harness.path('sources'));
});

afterAll(() => harness?.remove());

/** Batches of this file run one at a time in one directory each: the gate of the newest one counts. */
function isAbout(directory: string): boolean {
  return directory === newest;
}

let newest = '';
let number = 0;

function request(files: number, options: Partial<BatchBackupRequest> = {}): BatchBackupRequest & { sources: string[]; backupDir: string } {
  number += 1;
  const sources = Array.from({ length: files }, (_, index) => {
    const path = harness.path('sources', `${number}-${index}`);
    writeFileSync(path, `content ${index}`);
    return path;
  });
  newest = harness.path(`backups-${number}`);
  return { sources, backupDir: newest, retryDelayMs: 100, ...options };
}

/** Holds the chunks of a batch; returns what lets them go. */
function hold({ backupDir }: { backupDir: string }): () => void {
  let release = (): void => undefined;
  gates.set(backupDir, new Promise((resolve) => (release = resolve)));
  return release;
}

test('a batch is done by one call, and its record adds up', async () => {
  const wanted = request(5);
  const output = await harness.client.backupBatch({ ...wanted, sources: [...wanted.sources, harness.path('missing'), wanted.sources[0] ?? ''] });
  expect(output).toMatchObject({ success: false, totalFiles: 6, duplicateEntries: 1, successfulFiles: 5, failedFiles: 1, skippedFiles: 0, failuresByType: { SourceNotFound: 1 }, errorCode: null, createdDirectories: [wanted.backupDir] });
  expect(readFileSync(`${wanted.backupDir}/${number}-3.backup`, 'utf8')).toBe('content 3');
});

test('equal input attaches to the batch that is under way, other input is told that it is busy', async () => {
  const wanted = request(3);
  const release = hold(wanted);
  const first = await harness.client.startBackupBatch(wanted);
  const second = await harness.client.startBackupBatch(wanted);
  expect(second).toMatchObject({ attached: true, workflowId: first.workflowId, runId: first.runId, operationId: first.operationId });
  await expect(harness.client.startBackupBatch({ ...wanted, verifyBackup: false })).rejects.toThrow(TargetBusyError);
  expect(await harness.client.backupBatch({ ...wanted, rehash: true })).toMatchObject({ success: false, errorCode: 'TargetBusy' });
  release();
  expect(await Promise.all([first.result(), second.result()])).toEqual([expect.objectContaining({ success: true }), expect.objectContaining({ operationId: first.operationId })]);
});

test('equal lists are known as equal, in a request and in a file', async () => {
  const wanted = request(3);
  const release = hold(wanted);
  const first = await harness.client.startBackupBatch(wanted);
  const { sources, ...rest } = wanted;
  const data = sources.map((path) => `${path}\0`).join('');
  writeFileSync(harness.path('list'), data);
  const second = await harness.client.startBackupBatch({ ...rest, sourceList: { path: harness.path('list'), sha256: createHash('sha256').update(data).digest('hex') } });
  // The same lock; a list in a file is still the same work.
  expect(second).toMatchObject({ attached: true, runId: first.runId });
  release();
  await first.result();
});

test('the same operation sent twice runs once, and cannot be used for other input', async () => {
  const wanted = request(2, { operationId: randomUUID() });
  const first = await harness.client.backupBatch(wanted);
  const again = await harness.client.startBackupBatch(wanted);
  expect(again.attached).toBe(true);
  expect(await again.result()).toEqual(first);
  await expect(harness.client.startBackupBatch({ ...wanted, layout: 'tree' })).rejects.toThrow(OperationReusedError);
});

test.each([
  ['no files', { sources: [] }],
  ['neither files nor a list', { sources: undefined }],
  ['a relative path', { sources: ['relative'] }],
  ['too many files for a request', { sources: Array.from({ length: 3000 }, (_, index) => `/some/where/file-${index}`) }],
  ['a directory that is no absolute path', { backupDir: 'backups' }],
  ['an unknown field', { sourcs: ['/a'] }],
])('%s is refused before anything is started', async (_what, options) => {
  await expect(harness.client.startBackupBatch({ ...request(1), ...options })).rejects.toThrow(InvalidInputError);
});

test('a batch is paused and resumed by its operation, and its lanes are changed', async () => {
  const wanted = request(3);
  const release = hold(wanted);
  const handle = await harness.client.startBackupBatch(wanted);
  const id = handle.workflowId;
  await until('a chunk is under way', async () => (await harness.client.batchProgress(handle)).underWay.some(({ step }) => step === 'backupChunk'));
  expect(await harness.client.pause(id)).toMatchObject({ state: 'paused', files: 3 });
  await expect(harness.client.pause(id)).rejects.toThrow('The batch is paused already.');
  expect(await harness.client.batchProgress(handle)).toMatchObject({ isRunning: true, workerAnswers: true, state: 'paused', finishedChunks: 0 });
  expect(await harness.client.resume(id)).toMatchObject({ state: 'running' });
  expect(await harness.client.setLanes(id, 7)).toMatchObject({ lanes: 7 });
  await expect(harness.client.setLanes(id, 65)).rejects.toThrow('Lanes must be a whole number from 1 to 64.');
  release();
  await handle.result();
  await expect(harness.client.pause(id)).rejects.toThrow(BatchUpdateError);
});

test('a batch that was terminated has a record that says so', async () => {
  const wanted = request(2);
  const release = hold(wanted);
  const handle = await harness.client.startBackupBatch(wanted);
  await harness.temporal.workflow.getHandle(handle.workflowId).terminate('for the test');
  expect(await handle.result()).toMatchObject({ success: false, errorCode: 'Terminated', backupDir: wanted.backupDir });
  release();
});

test('what is under way counts as done by what it has read, however often each byte is read', () => {
  const sums = { backedUp: 10, unchanged: 5, failed: 1, copiedBytes: 1000, unchangedBytes: 500 };
  const chunk = { step: 'backupChunk', attempt: 1, movedBytes: 300, files: 2, path: undefined, lastFailure: undefined };
  const live = { ...sums, passes: 2, underWay: [chunk, { ...chunk, step: 'sealRun' }] };
  expect(doneSoFar(live as never)).toEqual({ files: 18, sizeBytes: 1650 });
});
