import * as fs from 'node:fs';
import { join } from 'node:path';
import { TransferControl } from '../../../src/storage/control';
import type { RestoreSettings } from '../../../src/storage/snapshot/restore/request';
import type { ChunkTask } from '../../../src/storage/batch/chunk';
import { publishChunk } from '../../../src/storage/batch/publish-chunk';
import { restoreChunk } from '../../../src/storage/snapshot/restore/restore-chunk';
import { makeFifo } from '../../../src/storage/posix';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { exactTree } from '../../helpers/exact-tree';
import { useFolder } from '../../helpers/files';
import { writeSnapshot } from '../../helpers/snapshot-fixture';
import { codeOf } from '../operation';
import { Crash, crashing, errnoError, withInterruption, withoutHardLinks, withPatched } from '../patched-fs';
import { Restore, type RestoreOptions } from './restore';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const source = (...names: string[]): string => path('source', ...names);
const restored = (...names: string[]): string => join(path('target'), source(...names));

beforeEach(() => {
  initRepository(path('repository'));
  fs.mkdirSync(source('sub', 'empty'), { recursive: true });
  for (const name of ['replaced', 'sub/new']) fs.writeFileSync(source(name), `content of ${name}`);
  fs.linkSync(source('sub', 'new'), source('sub', 'twin'));
  fs.symlinkSync('nowhere', source('sub', 'link'));
  makeFifo(source('sub', 'fifo'), 0o640);
  fs.chmodSync(source('sub'), 0o555);
  writeSnapshot(path('repository'), source());
  fs.mkdirSync(restored(), { recursive: true });
  fs.writeFileSync(restored('replaced'), 'previous content');
});

/** The target as it was before any restore. */
function reset(): void {
  fs.rmSync(path('target'), { recursive: true });
  fs.mkdirSync(restored(), { recursive: true });
  fs.writeFileSync(restored('replaced'), 'previous content');
}

test('each step that is repeated answers the same, and changes nothing more', () => {
  const restore = new Restore(folder());
  restore.open();
  restore.open();
  const twice = <T>(step: () => T): T => {
    const first = step();
    const before = exactTree(restored());
    expect(step()).toEqual(first);
    expect(exactTree(restored())).toEqual(before);
    return first;
  };
  expect(twice(() => restore.plan())).toMatchObject({ files: 2, chunks: 1, hardLinks: 1, symlinks: 1, fifos: 1, skipped: 0 });
  expect(twice(() => restore.chunk()).counts).toEqual({ backedUp: 2, unchanged: 0, failed: 0 });
  expect(twice(() => restore.finish())).toMatchObject({ failed: 0, unchanged: 0 });
  twice(() => restore.close());
  expect(exactTree(restored())).toEqual(exactTree(source()));
  expect(codeOf(() => restore.finish())).toBe('StagingRevoked');
});

test('a plan that is repeated answers the first one, also when there is a newer snapshot by then', () => {
  const restore = new Restore(folder());
  restore.open();
  const planned = restore.plan();
  writeSnapshot(path('repository'), source(), { startedAt: new Date(Date.now() + 60_000) });
  expect(restore.plan()).toEqual(planned);
});

/** Runs calls whose thread dies at the n-th change of the file system. False when there are fewer changes. */
function dyingAt(nth: number, calls: () => unknown): boolean {
  const death = crashing(nth, { halfDone: nth % 2 === 0 });
  try {
    calls();
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  } finally {
    death.restart();
  }
  return death.crashed();
}

/** Steps of a run, each repeated once if it dies. */
function stepsOf(restore: Restore): (() => unknown)[] {
  return [() => restore.open(), () => restore.plan(), () => restore.chunk(), () => restore.finish(), () => restore.close()];
}

const modes: Record<string, RestoreOptions> = { always: { overwrite: 'always' }, 'ifChanged': { overwrite: 'ifChanged' } };

describe.each([0, 1, 2, 3, 4])('a step that dies at any change of the file system is finished by the next attempt: step %i', (dying) => {
  test.each(Object.keys(modes))('with "%s"', (mode) => {
    let nth = 1;
    for (let died = true; died; nth += 1) {
      reset();
      const restore = new Restore(folder(), modes[mode]);
      for (const [index, step] of stepsOf(restore).entries()) {
        if (index === dying) died = dyingAt(nth, step);
        if (index !== dying || died) step();
      }
      expect([nth, exactTree(restored())]).toEqual([nth, exactTree(source())]);
      expect(fs.readdirSync(path('target'))).toEqual([folder().split('/')[1]]);
    }
    expect(nth).toBeGreaterThan(4);
  });
});

test('with "never" a file that an attempt published before it died counts as restored', () => {
  let nth = 1;
  for (let died = true; died; nth += 1) {
    reset();
    const restore = new Restore(folder(), { overwrite: 'never' });
    restore.open();
    restore.plan();
    died = dyingAt(nth, () => restore.chunk());
    expect([nth, restore.chunk().counts]).toEqual([nth, { backedUp: 1, unchanged: 1, failed: 0 }]);
    restore.finish();
    restore.close();
  }
  expect(fs.readFileSync(restored('replaced'), 'utf8')).toBe('previous content');
});

test('a file whose copy does not read back is not published', () => {
  const restore = new Restore(folder());
  restore.open();
  restore.plan();
  const task = restore.task();
  // What was written is not what the disk keeps.
  const report = withPatched('readSync', ([descriptor], proceed) => {
    const count = proceed();
    return fs.readlinkSync(`/proc/self/fd/${String(descriptor)}`).includes('/staging/') ? 0 : count;
  }, () => restoreChunk(task, restore.control));
  expect(report.failed.map(({ failure }) => failure.code)).toEqual(['ChecksumMismatch', 'ChecksumMismatch']);
  expect(fs.readFileSync(restored('replaced'), 'utf8')).toBe('previous content');
  expect(fs.existsSync(restored('sub', 'new'))).toBe(false);
});

test('files that failed in passing are tried again in a further pass, and counted once', () => {
  const restore = new Restore(folder());
  restore.open();
  restore.plan();
  const first = withPatched('linkSync', ([, target], proceed) => {
    if (String(target).endsWith('/new')) throw errnoError('EIO', 5);
    return proceed();
  }, () => restore.chunk());
  expect(first.failed.map(({ index, failure }) => [index, failure.code])).toEqual([[1, 'EIO']]);
  const again: ChunkTask<RestoreSettings> = { ...restore.task(), pass: 1, only: [1] };
  expect(restoreChunk(again, restore.control)).toMatchObject({ pass: 1, counts: { backedUp: 2, failed: 0 } });
  expect(restore.finish()).toMatchObject({ failed: 0 });
});

test('no chunk publishes after the restore was finished', () => {
  const restore = new Restore(folder());
  restore.open();
  restore.plan();
  expect(restore.finish()).toMatchObject({ skippedByReason: { cancelled: 2 } });
  expect(restore.chunk().counts).toEqual({ backedUp: 0, unchanged: 0, failed: 0 });
  restore.close();
  expect(codeOf(() => restore.chunk())).toBe('StagingRevoked');
  expect(fs.readFileSync(restored('replaced'), 'utf8')).toBe('previous content');
});

test('a cancelled restore makes nothing more, puts right what is there, and adds up', () => {
  const restore = new Restore(folder());
  restore.open();
  restore.plan();
  restore.chunk();
  const finished = restore.finish(true);
  expect(finished).toMatchObject({ restored: 4, unchanged: 0, failed: 0, skipped: 4, skippedByReason: { cancelled: 4 }, entries: 8 });
  restore.close();
  const tree = exactTree(source());
  expect(exactTree(restored())).toEqual({ replaced: tree.replaced, sub: tree.sub, 'sub/new': tree['sub/new'] });
});

test('a target that somebody makes while its file is copied is not overwritten', () => {
  const restore = new Restore(folder());
  restore.open();
  restore.plan();
  const report = withInterruption('linkSync', 1, () => fs.writeFileSync(restored('sub', 'new'), 'of somebody else'), () => restore.chunk());
  expect(report.failed.map(({ failure }) => failure.code)).toEqual(['DestinationConflict']);
  expect(fs.readFileSync(restored('sub', 'new'), 'utf8')).toBe('of somebody else');
});

test('where there are no hard links, further names become files of their own', () => {
  const finished = withoutHardLinks(() => new Restore(folder()).run());
  expect(finished).toMatchObject({ failed: 0, unchanged: 0 });
  expect([fs.readFileSync(restored('sub', 'twin'), 'utf8'), fs.statSync(restored('sub', 'twin')).nlink]).toEqual(['content of sub/new', 1]);
});

test('what lies on another file system fails by name', () => {
  const restore = new Restore(folder());
  restore.open();
  restore.plan();
  const finished = withPatched('linkSync', ([from, to], proceed) => {
    if (/\/\.[0-9a-f-]{36}\/\d+$/.test(String(from)) && String(to).includes('/proc/')) throw errnoError('EXDEV', 18);
    return proceed();
  }, () => restore.finish());
  expect(finished.failures).toEqual([{ code: 'TargetInvalid', side: 'destination', count: 3 }]);
  expect(finished.failureSample[0]?.message).toContain('is on a file system on which this restore has not staged');
});

test('everything is durable before a restore is said to be done', () => {
  const restore = new Restore(folder());
  restore.open();
  restore.plan();
  const synced = new Set<string>();
  withPatched('fsyncSync', ([descriptor], proceed) => {
    synced.add(fs.readlinkSync(`/proc/self/fd/${String(descriptor)}`));
    return proceed();
  }, () => {
    restore.chunk();
    restore.finish();
  });
  const directories = ['', 'sub', 'sub/empty'].map((name) => (name === '' ? restored() : restored(name)));
  expect(directories.filter((directory) => !synced.has(directory))).toEqual([]);
});

test('where the file system is synced at once, a sync that fails ends the step, and the next attempt finishes it', () => {
  const restore = new Restore(folder());
  restore.open();
  restore.plan();
  restore.chunk();
  const finishing = (answers: readonly boolean[]): unknown => {
    const left = [...answers];
    const control = Object.assign(new TransferControl(), { awaitSync: () => left.shift() ?? false });
    return restore.finish(false, { control, syncEach: false });
  };
  expect(codeOf(() => finishing([]))).toBe('DestinationError');
  expect(finishing([true])).toMatchObject({ failed: 0, skipped: 0, entries: 8 });
  expect(finishing([])).toMatchObject({ failed: 0, skipped: 0, entries: 8 });
});

test('a cancellation ends each step at the next entry', () => {
  const restore = new Restore(folder());
  restore.open();
  restore.control.cancel();
  expect(codeOf(() => restore.plan())).toBe('Cancelled');
});

test('an attempt that comes back after another one has done the chunk publishes nothing', () => {
  const restore = new Restore(folder());
  restore.open();
  restore.plan();
  const done = restore.chunk();
  const before = exactTree(restored());
  expect(publishChunk(restore.task(), { files: [] }, restore.control)).toEqual(done);
  expect(exactTree(restored())).toEqual(before);
});
