import { createHash, randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { ApplicationFailure } from '@temporalio/common';
import type { BatchBackupOutput, BatchBackupRequest } from '../../src/batch-models';
import type { BatchProgress } from '../../src/core/batch-progress';
import { noSums } from '../../src/core/batch-sums';
import { PAUSE_UPDATE, PROGRESS_QUERY, RESUME_UPDATE } from '../../src/core/names';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { until } from '../helpers/target-state';

let harness: Harness;

afterEach(() => harness?.remove());

/** So many source files of different content and size, and their paths. */
function makeSources(count: number, folder = 'sources'): string[] {
  const directory = harness.path(folder);
  mkdirSync(directory, { recursive: true });
  return Array.from({ length: count }, (_, index) => {
    const path = join(directory, `file-${String(index).padStart(5, '0')}`);
    writeFileSync(path, `${folder} ${index} `.repeat(1 + (index % 50)), { mode: index % 2 === 0 ? 0o640 : 0o600 });
    return path;
  });
}

function writeList(paths: readonly (string | Buffer)[], separator = '\0'): BatchBackupRequest['sourceList'] {
  const data = Buffer.concat(paths.flatMap((path) => [Buffer.from(path), Buffer.from(separator)]));
  const path = harness.path(`list-${randomUUID()}`);
  writeFileSync(path, data);
  return { path, separator: separator === '\0' ? 'nul' : 'newline', sha256: createHash('sha256').update(data).digest('hex') };
}

async function start(request: Partial<BatchBackupRequest>): Promise<WorkflowHandle> {
  const input = { backupDir: harness.path('backups'), retryDelayMs: 100, operationId: randomUUID(), ...request };
  return harness.temporal.workflow.start('backupBatch', { taskQueue: harness.taskQueue, workflowId: `batch-${randomUUID()}`, args: [input, { storage: harness.taskQueue }] });
}

async function run(request: Partial<BatchBackupRequest>): Promise<BatchBackupOutput> {
  return (await start(request)).result() as Promise<BatchBackupOutput>;
}

/** The record of a batch that failed as a whole. */
async function failureOf(handle: WorkflowHandle): Promise<BatchBackupOutput> {
  const error: unknown = await handle.result().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof WorkflowFailedError)) throw new Error('The batch did not fail');
  return (error.cause as ApplicationFailure).details?.[0] as BatchBackupOutput;
}

/** Everything in the backup directory that is not a run's record. */
function backups(): string[] {
  return readdirSync(harness.path('backups')).filter((name) => name !== '.file-backup').sort();
}

function runFiles({ runDirectory }: BatchBackupOutput): string[] {
  return readdirSync(runDirectory).sort();
}

test('every file of a list is copied under its name, verified, and nothing is left but the record', async () => {
  harness = await startHarness();
  const sources = makeSources(2500);
  const output = await run({ sourceList: writeList(sources) });
  expect(output).toMatchObject({ success: true, totalFiles: 2500, successfulFiles: 2500, failedFiles: 0, skippedFiles: 0, successRatePercent: 100, verifiedFrom: 'device', errorCode: null });
  for (const source of sources) {
    const target = harness.path('backups', `${source.split('/').at(-1)}.backup`);
    expect(readFileSync(target)).toEqual(readFileSync(source));
    expect(statSync(target).mode).toBe(statSync(source).mode);
  }
  expect(backups()).toHaveLength(2500);
  expect(runFiles(output)).toEqual(['failures.ndjson', 'manifest.ndjson', 'owner.json', 'summary.json']);
  expect(readFileSync(join(output.runDirectory, 'manifest.ndjson'), 'utf8').trim().split('\n')).toHaveLength(2500);
});

test('the layout tree keeps the full path, so that equal names do not meet', async () => {
  harness = await startHarness();
  const [one = '', two = ''] = [...makeSources(1, 'a'), ...makeSources(1, 'b')];
  expect(await run({ sources: [one, two], layout: 'tree' })).toMatchObject({ success: true, successfulFiles: 2 });
  for (const source of [one, two]) expect(readFileSync(harness.path('backups', source))).toEqual(readFileSync(source));
});

test('two sources that would meet in one target are refused before anything is copied, both named', async () => {
  harness = await startHarness();
  const [one = '', two = ''] = [...makeSources(1, 'a'), ...makeSources(1, 'b')];
  const output = await failureOf(await start({ sources: [one, two] }));
  expect(output.errorCode).toBe('TargetCollision');
  expect(output.errorMessage).toContain(one);
  expect(output.errorMessage).toContain(two);
  expect(existsSync(harness.path('backups'))).toBe(false);
});

test('files that cannot be backed up are named by their failures, and the others are backed up', async () => {
  harness = await startHarness();
  const good = makeSources(3);
  const link = harness.path('sources', 'link');
  symlinkSync(good[0] ?? '', link);
  const output = await run({ sources: [...good, harness.path('sources', 'missing'), link, harness.path('sources')] });
  expect(output).toMatchObject({ success: false, totalFiles: 6, successfulFiles: 3, failedFiles: 3, failuresByType: { SourceNotFound: 1, SourceNotRegularFile: 2 } });
  expect(output.failureSample.map(({ path }) => path)).toContain(link);
  expect(readFileSync(join(output.runDirectory, 'failures.ndjson'), 'utf8').trim().split('\n')).toHaveLength(3);
  expect(backups()).toHaveLength(3);
});

test('names with line breaks and names that are no UTF-8 are copied byte for byte', async () => {
  harness = await startHarness();
  mkdirSync(harness.path('sources'));
  const names = [Buffer.from('two\nlines'), Buffer.from([0x66, 0xff, 0xfe, 0x67])];
  const paths = names.map((name) => Buffer.concat([Buffer.from(`${harness.path('sources')}/`), name]));
  paths.forEach((path, index) => writeFileSync(path, `content ${index}`));
  expect(await run({ sourceList: writeList(paths) })).toMatchObject({ success: true, successfulFiles: 2 });
  names.forEach((name, index) => expect(readFileSync(Buffer.concat([Buffer.from(`${harness.path('backups')}/`), name, Buffer.from('.backup')]), 'utf8')).toBe(`content ${index}`));
});

test('a second run copies only what has changed since', async () => {
  harness = await startHarness();
  const sources = makeSources(20);
  await run({ sources });
  writeFileSync(sources[3] ?? '', 'new content');
  rmSync(harness.path('backups', 'file-00005.backup'));
  const output = await run({ sources });
  expect(output).toMatchObject({ success: true, totalFiles: 20, successfulFiles: 20, unchangedFiles: 18 });
  expect(readFileSync(harness.path('backups', 'file-00003.backup'), 'utf8')).toBe('new content');
  expect(existsSync(harness.path('backups', 'file-00005.backup'))).toBe(true);
  expect(await run({ sources, rehash: true })).toMatchObject({ success: true, unchangedFiles: 0 });
});

test('all or nothing: one bad file at the end leaves the destination as it was, earlier contents included', async () => {
  harness = await startHarness();
  const sources = makeSources(2000);
  mkdirSync(harness.path('backups'));
  const earlier = [1, 700, 1500].map((index) => harness.path('backups', `file-${String(index).padStart(5, '0')}.backup`));
  for (const path of earlier) writeFileSync(path, `earlier content of ${path}`, { mode: 0o604 });
  const states = earlier.map((path) => statSync(path, { bigint: true }));
  const output = await failureOf(await start({ sourceList: writeList([...sources, harness.path('sources', 'missing')]), onFailure: 'rollBack' }));
  expect(output).toMatchObject({ success: false, errorCode: 'SourceNotFound', rollback: 'performed', successfulFiles: 0 });
  expect(backups()).toEqual(earlier.map((path) => path.split('/').at(-1)));
  earlier.forEach((path, index) => {
    expect(readFileSync(path, 'utf8')).toBe(`earlier content of ${path}`);
    const { ino, mode, mtimeNs } = statSync(path, { bigint: true });
    expect({ ino, mode, mtimeNs }).toEqual({ ino: states[index]?.ino, mode: states[index]?.mode, mtimeNs: states[index]?.mtimeNs });
  });
});

test('a file that fails in passing gets a saga of its own, and counts once', async () => {
  const growing: string[] = [];
  harness = await startHarness();
  const sources = makeSources(10);
  // A source that changes is found out by the look after reading: here the copy is the first thing that happens to it.
  growing.push(sources[4] ?? '');
  truncateSync(growing[0] ?? '', 3_000_000_000);
  const handle = await start({ sources });
  await until('the large file is being copied', async () => ((await handle.describe()).raw.pendingActivities ?? []).some(({ activityType }) => activityType?.name === 'backupChunk'));
  writeFileSync(growing[0] ?? '', 'small by now');
  const output = (await handle.result()) as BatchBackupOutput;
  expect(output).toMatchObject({ success: true, totalFiles: 10, successfulFiles: 10, failedFiles: 0 });
  expect(readFileSync(harness.path('backups', 'file-00004.backup'), 'utf8')).toBe('small by now');
});

test('a paused batch starts no more chunks until it is resumed', async () => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const around: Around = async (step, _attempt, next) => {
    if (step === 'backupChunk') await held;
    return next();
  };
  harness = await startHarness({ around });
  const handle = await start({ sourceList: writeList(makeSources(3500)), lanes: 1 });
  await until('a chunk is under way', async () => (await handle.query<BatchProgress>(PROGRESS_QUERY)).current.length === 1);
  expect(await handle.executeUpdate<BatchProgress, []>(PAUSE_UPDATE)).toMatchObject({ state: 'paused' });
  await expect(handle.executeUpdate(PAUSE_UPDATE)).rejects.toThrow();
  release();
  await until('the chunk under way is finished', async () => (await handle.query<BatchProgress>(PROGRESS_QUERY)).finishedChunks === 1);
  expect(await handle.query<BatchProgress>(PROGRESS_QUERY)).toMatchObject({ state: 'paused', finishedChunks: 1, current: [] });
  await handle.executeUpdate(RESUME_UPDATE);
  expect(await handle.result()).toMatchObject({ success: true, totalFiles: 3500, successfulFiles: 3500 });
});

test('a cancelled batch keeps what is published, says what it did not get to, and leaves nothing else', async () => {
  const around: Around = async (step, _attempt, next) => {
    const result = await next();
    if (step === 'backupChunk') await handle?.cancel();
    return result;
  };
  let handle: WorkflowHandle | undefined = undefined as WorkflowHandle | undefined;
  harness = await startHarness({ around });
  handle = await start({ sourceList: writeList(makeSources(4000)), lanes: 1 });
  await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
  const { memo, status } = await handle.describe();
  expect(status.name).toBe('CANCELLED');
  const output = memo?.output as BatchBackupOutput;
  expect(output).toMatchObject({ success: false, errorCode: 'Cancelled', totalFiles: 4000, failedFiles: 0 });
  expect(output.successfulFiles + output.skippedFiles).toBe(4000);
  expect(backups()).toHaveLength(output.successfulFiles);
  expect(runFiles(output)).toEqual(['failures.ndjson', 'manifest.ndjson', 'owner.json', 'summary.json']);
});

test('a list outside the roots, a relative path in it, and a destination outside the roots are refused', async () => {
  harness = await startHarness();
  const sha256 = '0'.repeat(64);
  expect(await failureOf(await start({ sourceList: { path: '/etc/hostname', separator: 'newline', sha256 } }))).toMatchObject({ errorCode: 'SourceNotAllowed' });
  expect(await failureOf(await start({ sourceList: writeList(['relative/path']) }))).toMatchObject({ errorCode: 'InvalidInput' });
  expect(await failureOf(await start({ sources: makeSources(1), backupDir: '/elsewhere' }))).toMatchObject({ errorCode: 'TargetNotAllowed' });
  chmodSync(harness.directory, 0o755);
});

test.each([
  ['a destination outside the roots', () => ({ destination: '/elsewhere' }), 'TargetNotAllowed'],
  ['a destination that leads out of the roots', () => ({ destination: `${harness.directory}/../elsewhere` }), 'InvalidInput'],
  ['a run that leads out of its destination', () => ({ runId: '../../elsewhere' }), 'InvalidInput'],
  ['a run that is not the one that asks', () => ({}), 'NotOwnRun'],
])('a batch that is started with a forged state of an earlier execution is refused: %s', async (_what, forged, errorCode) => {
  harness = await startHarness();
  const input = { backupDir: harness.path('backups'), layout: 'flat', onFailure: 'continue', verifyBackup: true, verifyFrom: 'device', maxRetries: 0, retryDelayMs: 100, onCircuitOpen: 'fail', onSourceChanged: 'fail', rehash: false, lanes: 1, operationId: randomUUID(), metadata: {} };
  const location = { root: '/', destination: harness.path('backups'), runId: randomUUID(), ...forged() };
  const batch = { input, location, createdDirectories: [], files: 1, sizeBytes: 1, chunks: 1, duplicates: 0 };
  const carried = { ...noSums(), startedAtMs: Date.now(), batch, nextChunk: 0, returned: [], paused: false, lanes: 1, retryCount: 0, waitedMs: 0 };
  const handle = await harness.temporal.workflow.start('backupBatch', { taskQueue: harness.taskQueue, workflowId: `batch-${randomUUID()}`, args: [input, { storage: harness.taskQueue }, carried] });
  expect(await failureOf(handle)).toMatchObject({ success: false, errorCode });
  expect(readdirSync(harness.directory)).toEqual([]);
});
