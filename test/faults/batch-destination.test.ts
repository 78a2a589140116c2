import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backups, expectAddsUp, makeSources, outputOf, progressOf, recordOf, runBatch, startBatch, targetOf, writeList } from '../helpers/batch';
import { chunkLimits } from '../../src/storage/batch/chunked-lines';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { isRoot } from '../helpers/files';
import { registered, until } from '../helpers/target-state';
import { startPlace, startWorkerProcess } from '../helpers/worker-process';

/** Files of the first chunks of a list. */
const CHUNK = chunkLimits.firstFiles;

const NOBODY = 65534;

let place: Harness;
const mounted: string[] = [];

/** Whether this machine lets us mount. */
const canMount = ((): boolean => {
  if (!isRoot || process.platform !== 'linux') return false;
  const { status } = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' });
  return status === 0;
})();
if (!canMount) console.log('Mounting is not permitted here (it takes root): what a batch does on a full, read-only or unmounted disk is not tested.');
const testMounted = canMount ? test : test.skip;

beforeEach(async () => {
  place = await startPlace();
});

afterEach(async () => {
  for (const path of mounted.splice(0).reverse()) spawnSync('umount', ['-l', path]);
  await place.remove();
});

function command(program: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
}

function mountTmpfs(path: string, sizeBytes: number): void {
  mkdirSync(path, { recursive: true });
  command('mount', '-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'none', path);
  mounted.push(path);
}

/** A file system that can be taken away from the backup directory and be put back there. */
function mountRemovable(sizeBytes = 64 * 1024 * 1024): { take: () => void; putBack: () => void } {
  mountTmpfs(place.path('disk'), sizeBytes);
  mkdirSync(place.path('backups'));
  const putBack = (): void => command('mount', '--bind', place.path('disk'), place.path('backups'));
  putBack();
  mounted.push(place.path('backups'));
  // Lazily, as a disk goes that is pulled: files of it may be open.
  return { putBack, take: () => command('umount', '-l', place.path('backups')) };
}

function before(wanted: string, nth: number, calls: () => unknown): Around {
  let count = 0;
  return async (step, _attempt, next) => {
    if (step === wanted && (count += 1) === nth) await calls();
    return next();
  };
}

describe('a disk that becomes full', () => {
  const MIB = 1024 * 1024;

  testMounted.each([
    ['of files that are large', 40, 512 * 1024, 1, 'size=64m', 50 * MIB],
    ['of small files in several lanes', 3000, 6 * 1024, 3, 'size=64m', 50 * MIB],
    ['of names alone', 3000, 6, 4, 'size=64m,nr_inodes=4000', 0],
  ] as const)('%s takes what fits, the record is written, and the batch ends', async (_title, count, sizeBytes, lanes, options, othersBytes) => {
    mkdirSync(place.path('backups'));
    command('mount', '-t', 'tmpfs', '-o', options, 'none', place.path('backups'));
    mounted.push(place.path('backups'));
    // Somebody else takes the rest when the batch has been planned.
    const fill = (): void => {
      mkdirSync(place.path('backups', 'others'));
      if (othersBytes > 0) writeFileSync(place.path('backups', 'others', 'large'), Buffer.alloc(othersBytes));
      else for (let index = 0; index < 2500; index += 1) writeFileSync(place.path('backups', 'others', String(index)), '');
    };
    const worker = await startHarness({ like: place, around: before('backupChunk', 1, fill) });
    const sources = makeSources(place, count);
    sources.forEach((path, index) => writeFileSync(path, Buffer.alloc(sizeBytes, `${index} `)));
    const output = await runBatch(place, { sourceList: writeList(place, sources), lanes, maxRetries: 1 });
    await worker.stop();
    expect(output).toMatchObject({ success: false, totalFiles: count, failuresByType: { NoSpace: output.failedFiles } });
    // Large files may leave space that small ones would have.
    if (sizeBytes < 10_000) expect(output.errorCode).toBe('NoSpace');
    expect(output.successfulFiles).toBeGreaterThan(count / 10);
    expect(output.failedFiles).toBeGreaterThan(0);
    expectAddsUp(output);
    const written = backups(place).filter((name) => name !== 'others');
    expect(written).toHaveLength(output.successfulFiles);
    for (const name of written) expect(readFileSync(place.path('backups', name)).equals(readFileSync(place.path('sources', name.replace('.backup', ''))))).toBe(true);
  });

  testMounted('while all or nothing is asked for holds what it held before', async () => {
    mountTmpfs(place.path('backups'), 64 * MIB);
    const fill = (): void => {
      mkdirSync(place.path('backups', 'others'));
      writeFileSync(place.path('backups', 'others', 'large'), Buffer.alloc(50 * MIB));
    };
    const worker = await startHarness({ like: place, around: before('backupChunk', 1, fill) });
    const sources = makeSources(place, 40);
    for (const path of sources) writeFileSync(path, Buffer.alloc(512 * 1024, path));
    writeFileSync(targetOf(place, sources[2] ?? ''), 'previous');
    const output = await runBatch(place, { sources, maxRetries: 1, onFailure: 'rollBack' });
    await worker.stop();
    expect(output).toMatchObject({ errorCode: 'NoSpace', rollback: 'performed', successfulFiles: 0, totalFiles: 40 });
    expect(backups(place).filter((name) => name !== 'others')).toEqual(['file-00002.backup']);
    expect(readFileSync(targetOf(place, sources[2] ?? ''), 'utf8')).toBe('previous');
    expectAddsUp(output);
  });
});

describe('a disk that is read-only', () => {
  testMounted('from the start fails the batch at once', async () => {
    mountTmpfs(place.path('backups'), 8 * 1024 * 1024);
    command('mount', '-o', 'remount,ro', place.path('backups'));
    const worker = await startHarness({ like: place });
    const output = await runBatch(place, { sources: makeSources(place, 3) });
    await worker.stop();
    expect(output).toMatchObject({ errorCode: 'DestinationReadOnly', totalFiles: 0, retryCount: 0 });
  });

  testMounted('from amid the batch on fails it, with what was published; the record follows when it can be written', async () => {
    mountTmpfs(place.path('backups'), 64 * 1024 * 1024);
    const worker = await startHarness({ like: place, around: before('backupChunk', 2, () => command('mount', '-o', 'remount,ro', place.path('backups'))) });
    const output = await runBatch(place, { sourceList: writeList(place, makeSources(place, 5 * CHUNK)), lanes: 1 });
    await worker.stop();
    expect(output).toMatchObject({ errorCode: 'DestinationReadOnly', totalFiles: 5 * CHUNK, successfulFiles: CHUNK, skippedFiles: 4 * CHUNK, failedFiles: 0 });
    expect(backups(place)).toHaveLength(CHUNK);
    command('mount', '-o', 'remount,rw', place.path('backups'));
    await (await startHarness({ like: place })).stop();
    expectAddsUp(output);
    expect(registered(place)).toEqual([]);
  });
});

describe('a disk that is taken away amid the batch and put back', () => {
  testMounted.each(['backupChunk', 'sealRun'] as const)('before %s: nothing is written below the mount point, the batch waits visibly, and goes on by itself', async (step) => {
    const disk = mountRemovable();
    const worker = await startHarness({ like: place, around: before(step, step === 'sealRun' ? 1 : 2, disk.take) });
    const sources = makeSources(place, 2500);
    const handle = await startBatch(place, { sourceList: writeList(place, sources), layout: 'tree', lanes: 1, maxRetries: 1 });
    await until('the batch waits', async () => (await progressOf(handle)).state === 'waiting');
    expect((await progressOf(handle)).waitingFor).toContain('gone');
    expect(readdirSync(place.path('backups'))).toEqual([]);
    disk.putBack();
    const output = await outputOf(handle);
    await worker.stop();
    expect(output).toMatchObject({ success: true, successfulFiles: 2500 });
    expectAddsUp(output);
    for (const source of sources) expect(readFileSync(join(place.path('backups'), source)).equals(readFileSync(source))).toBe(true);
  });

  testMounted('at any moment of its chunks, several times', async () => {
    const disk = mountRemovable();
    const worker = await startHarness({ like: place });
    const sources = makeSources(place, 3000);
    const handle = await startBatch(place, { sourceList: writeList(place, sources), layout: 'tree', lanes: 2, maxRetries: 0 });
    for (const moment of [0.1, 0.4, 0.7]) {
      const published = (): number => readdirSync(place.path('backups'), { recursive: true }).filter((name) => String(name).includes('/file-0')).length;
      await until('some more files are published', () => published() >= moment * sources.length);
      disk.take();
      await until('the batch waits', async () => (await progressOf(handle)).state === 'waiting');
      expect(readdirSync(place.path('backups'))).toEqual([]);
      disk.putBack();
    }
    const output = await outputOf(handle);
    await worker.stop();
    expect(output).toMatchObject({ success: true, successfulFiles: 3000 });
    expectAddsUp(output);
  });
});

test('one unreadable file among 10,000 is one failed file', async () => {
  const sources = makeSources(place, 10_000);
  const unreadable = sources[7777] ?? '';
  chmodSync(unreadable, 0);
  const sourceList = writeList(place, sources);
  // Root reads everything: the worker is somebody else, whose own the other files are.
  if (isRoot) for (const path of [place.directory, place.stateDirectory, place.path('sources'), ...sources.filter((path) => path !== unreadable)]) chownSync(path, NOBODY, NOBODY);
  const worker = startWorkerProcess({ ...place, ...(isRoot ? { userId: NOBODY } : {}), concurrency: 4 });
  try {
    const output = await runBatch(place, { sourceList, verifyFrom: 'cache' });
    expect(output).toMatchObject({ totalFiles: 10_000, successfulFiles: 9999, failedFiles: 1, failuresByType: { PermissionDenied: 1 }, errorCode: null });
    expect(recordOf<{ source: string }>(output, 'failures.ndjson').map(({ source }) => source)).toEqual([unreadable]);
    expectAddsUp(output);
  } finally {
    await worker.stop();
  }
});

test('1,000 of 10,000 missing are exactly 1,000 failed files, and none stops the others', async () => {
  const worker = await startHarness({ like: place, breaker: { failureThreshold: 1 } });
  const sources = makeSources(place, 10_000);
  const missing = sources.filter((_path, index) => index % 10 === 3);
  missing.forEach((path) => rmSync(path));
  const output = await runBatch(place, { sourceList: writeList(place, sources), verifyFrom: 'cache' });
  await worker.stop();
  expect(output).toMatchObject({ totalFiles: 10_000, successfulFiles: 9000, failedFiles: 1000, skippedFiles: 0, failuresByType: { SourceNotFound: 1000 }, errorCode: null, retryCount: 0 });
  expect(recordOf<{ source: string }>(output, 'failures.ndjson').map(({ source }) => source).sort()).toEqual(missing.sort());
  expectAddsUp(output);
});
