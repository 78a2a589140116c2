import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { failure } from '../../src/failures';
import { backups, expectAddsUp, makeSources, outputOf, progressOf, recordOf, runBatch, startBatch, targetOf, writeList } from '../helpers/batch';
import { chunkLimits } from '../../src/storage/batch/chunked-lines';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { until } from '../helpers/target-state';

/** Files of the first chunks of a list. */
const CHUNK = chunkLimits.firstFiles;

let harness: Harness;

afterEach(() => harness?.remove());

/** Calls back before a step is run for the n-th time. */
function before(wanted: string, nth: number, calls: () => unknown): Around {
  let count = 0;
  return async (step, _attempt, next) => {
    if (step === wanted && (count += 1) === nth) await calls();
    return next();
  };
}

const away = (): void => renameSync(harness.path('backups'), harness.path('away'));
const back = (): void => renameSync(harness.path('away'), harness.path('backups'));

/** As an unmounted disk leaves it: the directory is there and empty. */
function unmount(): void {
  away();
  mkdirSync(harness.path('backups'));
}

function mount(): void {
  // Nothing may have been written below the mount point.
  expect(readdirSync(harness.path('backups'))).toEqual([]);
  rmSync(harness.path('backups'), { recursive: true });
  back();
}

describe('sources that change between plan and copy', () => {
  test('deleted is a failed file, grown and replaced are copied as they are', async () => {
    harness = await startHarness({
      around: before('backupChunk', 1, () => {
        rmSync(harness.path('sources', 'file-00001'));
        appendFileSync(harness.path('sources', 'file-00002'), 'grown by more than there was '.repeat(1000));
        writeFileSync(harness.path('new'), 'another file');
        renameSync(harness.path('new'), harness.path('sources', 'file-00003'));
      }),
    });
    const sources = makeSources(harness, 10);
    const output = await runBatch(harness, { sources });
    expect(output).toMatchObject({ success: false, totalFiles: 10, successfulFiles: 9, failedFiles: 1, failuresByType: { SourceNotFound: 1 } });
    for (const source of sources.filter((path) => existsSync(path))) expect(readFileSync(targetOf(harness, source)).equals(readFileSync(source))).toBe(true);
    expectAddsUp(output);
  });

  test('200 of 2,000 missing are exactly 200 failed files, each by name, and the destination has not to answer for it', async () => {
    harness = await startHarness({ breaker: { failureThreshold: 1 } });
    const sources = makeSources(harness, 2000);
    const missing = sources.filter((_path, index) => index % 10 === 3);
    missing.forEach((path) => rmSync(path));
    const output = await runBatch(harness, { sourceList: writeList(harness, sources) });
    expect(output).toMatchObject({ success: false, totalFiles: 2000, successfulFiles: 1800, failedFiles: 200, skippedFiles: 0, failuresByType: { SourceNotFound: 200 }, errorCode: null });
    expect(recordOf<{ source: string }>(output, 'failures.ndjson').map(({ source }) => source).sort()).toEqual(missing.sort());
    expectAddsUp(output);
    expect(await harness.client.backupFile({ sourcePath: sources[0] ?? '', backupPath: harness.path('single'), onCircuitOpen: 'fail' })).toMatchObject({ success: true });
  });
});

describe('a destination that is gone', () => {
  test('before the batch is planned fails it with the retries of the input', async () => {
    harness = await startHarness();
    const sources = makeSources(harness, 1);
    renameSync(harness.directory, `${harness.directory}-away`);
    try {
      expect(await runBatch(harness, { sources, maxRetries: 1 })).toMatchObject({ errorCode: 'DestinationGone', retryCount: 1, totalFiles: 0 });
      expect(existsSync(harness.directory)).toBe(false);
    } finally {
      renameSync(`${harness.directory}-away`, harness.directory);
    }
  });

  test.each([
    ['amid its chunks', 'backupChunk', 2],
    ['before its end is written', 'sealRun', 1],
  ] as const)('%s is waited for visibly, and the batch goes on by itself', async (_when, step, nth) => {
    harness = await startHarness({ around: before(step, nth, unmount) });
    const sources = makeSources(harness, 2500);
    const handle = await startBatch(harness, { sourceList: writeList(harness, sources), lanes: 1, maxRetries: 1 });
    await until('the batch waits', async () => (await progressOf(handle)).state === 'waiting');
    expect((await progressOf(handle)).waitingFor).toMatch(/^destination ill, next try at \d{4}-.*: .*gone/);
    mount();
    const output = await outputOf(handle);
    expect(output).toMatchObject({ success: true, successfulFiles: 2500 });
    expect(await progressOf(handle)).toMatchObject({ state: 'done', waitingFor: null });
    expectAddsUp(output);
  });

  test('is not waited for where that was asked, and the counts are those of the history', async () => {
    harness = await startHarness({ around: before('backupChunk', 2, unmount) });
    const output = await runBatch(harness, { sourceList: writeList(harness, makeSources(harness, 5 * CHUNK)), lanes: 1, maxRetries: 0, onCircuitOpen: 'fail' });
    expect(output).toMatchObject({ errorCode: 'DestinationGone', totalFiles: 5 * CHUNK, successfulFiles: CHUNK, failedFiles: 0, skippedFiles: 4 * CHUNK });
    expect(output.errorMessage).toContain('could not be written');
    mount();
    // The next worker's janitor writes the record.
    await harness.stop();
    await (await startHarness({ like: harness })).stop();
    expectAddsUp(output);
  });

  test('at the end and for good fails the batch, which says that its record is missing', async () => {
    harness = await startHarness({ around: before('sealRun', 1, unmount) });
    const output = await runBatch(harness, { sources: makeSources(harness, 5), maxRetries: 0, onCircuitOpen: 'fail' });
    expect(output).toMatchObject({ errorCode: 'DestinationGone', totalFiles: 5, successfulFiles: 5, rollback: 'notNeeded' });
    mount();
    expect(backups(harness)).toHaveLength(5);
  });
});

test('an open circuit is waited for visibly, and the batch goes on by itself', async () => {
  const around: Around = (step, _attempt, next) => (step === 'stageFile' ? Promise.reject(failure('DestinationError', 'Made to fail')) : next());
  harness = await startHarness({ around, breaker: { failureThreshold: 1, recoveryTimeoutMs: 2000 } });
  const sources = makeSources(harness, 2500);
  expect(await harness.client.backupFile({ sourcePath: sources[0] ?? '', backupPath: harness.path('single'), maxRetries: 0 })).toMatchObject({ errorCode: 'DestinationError' });
  const handle = await startBatch(harness, { sourceList: writeList(harness, sources), lanes: 3, maxRetries: 0 });
  await until('the batch waits', async () => (await progressOf(handle)).state === 'waiting');
  expect((await progressOf(handle)).waitingFor).toMatch(/^circuit open, next try at /);
  const output = await outputOf(handle);
  expect(output).toMatchObject({ success: true, successfulFiles: 2500 });
  expectAddsUp(output);
});

test('a destination that goes on failing opens its circuit, and the batch ends when it may not wait for that', async () => {
  const around: Around = (step, _attempt, next) => (step === 'backupChunk' ? Promise.reject(failure('DestinationError', 'Made to fail')) : next());
  harness = await startHarness({ around, breaker: { failureThreshold: 2, recoveryTimeoutMs: 600_000 } });
  const sources = makeSources(harness, 2500);
  const output = await runBatch(harness, { sourceList: writeList(harness, sources), lanes: 2, maxRetries: 0, onCircuitOpen: 'fail' });
  expect(output).toMatchObject({ errorCode: 'DestinationError', totalFiles: 2500, skippedFiles: 2500 });
  expectAddsUp(output);
  expect(await runBatch(harness, { sources: sources.slice(0, 3), maxRetries: 0, onCircuitOpen: 'fail' })).toMatchObject({ errorCode: 'CircuitOpen', skippedFiles: 3 });
});

test('a full destination ends the batch with its record once a chunk has met it: the rest is not tried file by file', async () => {
  const around: Around = async (step, _attempt, next) => {
    const result = await next();
    return step === 'backupChunk' ? { ...(result as object), full: '/backups is full' } : result;
  };
  harness = await startHarness({ around });
  const output = await runBatch(harness, { sourceList: writeList(harness, makeSources(harness, 5 * CHUNK)), lanes: 1, maxRetries: 0 });
  expect(output).toMatchObject({ errorCode: 'NoSpace', totalFiles: 5 * CHUNK, successfulFiles: CHUNK, skippedFiles: 4 * CHUNK, failedFiles: 0 });
  expect(output.errorMessage).toContain('/backups is full. Free some space on the destination.');
  expectAddsUp(output);
});

test.each(['backupChunk', 'sealRun'])('a destination that has no space for %s itself is not waited for', async (wanted) => {
  let isFull = true;
  const around: Around = (step, _attempt, next) => {
    if (step !== wanted || !isFull) return next();
    isFull = false;
    return Promise.reject(failure('NoSpace', 'Made to fail'));
  };
  harness = await startHarness({ around });
  const output = await runBatch(harness, { sources: makeSources(harness, 5), maxRetries: 0 });
  expect(output).toMatchObject({ errorCode: 'NoSpace', totalFiles: 5 });
  expectAddsUp(output);
});
