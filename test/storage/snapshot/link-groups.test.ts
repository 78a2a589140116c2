import * as fs from 'node:fs';
import { join } from 'node:path';
import type { FileEntry, SnapshotEntry } from '../../../src/storage/snapshot/entry';
import { pathText } from '../../../src/storage/path-bytes';
import { initRepository } from '../../../src/storage/snapshot/repository';
import type { SealedRecord } from '../../../src/storage/snapshot/seal-snapshot';
import { check } from '../../helpers/check';
import { memoryFolder, useFolder } from '../../helpers/files';
import { errnoError, interceptFs } from '../patched-fs';
import { SnapshotRun } from './snapshot-run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder(memoryFolder);
const source = (...names: string[]): string => join(folder(), 'source', ...names);
const repository = (): string => join(folder(), 'repository');

beforeEach(() => {
  initRepository(repository());
  fs.mkdirSync(source('sub'), { recursive: true });
  fs.writeFileSync(source('z1'), 'old');
  for (const name of ['z2', 'z3']) fs.linkSync(source('z1'), source(name));
});

/** A file of that name takes the place of another one, as editors save. */
function replace(name: string, content: string): void {
  fs.writeFileSync(source('new'), content);
  fs.renameSync(source('new'), source(name));
}

interface Taken {
  readonly record: SealedRecord;
  readonly entries: Record<string, SnapshotEntry>;
  /** Content of each copy, and the first name of those that are one file. */
  readonly copies: Record<string, string>;
}

/** Takes a snapshot in which something happens after the plan, and something after the chunks. */
async function take({ afterPlan = () => undefined, afterChunks = () => undefined, run = new SnapshotRun(folder(), repository(), [source()]) }: { afterPlan?: () => void; afterChunks?: () => void; run?: SnapshotRun }): Promise<Taken> {
  const { chunks } = run.plan();
  afterPlan();
  for (let chunk = 0; chunk < chunks; chunk += 1) run.chunk(run.attempt(chunk));
  afterChunks();
  const record = run.seal();
  const entries = Object.fromEntries([...run.open().entries()].map(({ path, entry }) => [pathText(path).slice(source().length + 1), entry]));
  const inodes = new Map<number, string>();
  const copies: Record<string, string> = {};
  for (const name of Object.keys(entries).filter((each) => entries[each]?.type === 'file' && entries[each]?.state !== 'failed')) {
    const copy = join(run.data, source(name));
    const { ino } = fs.statSync(copy);
    if (!inodes.has(ino)) inodes.set(ino, name);
    copies[name] = `${fs.readFileSync(copy, 'utf8')}, ${inodes.get(ino)}`;
  }
  expect((await check(repository())).problems).toEqual([]);
  return { record, entries, copies };
}

test('names of one file that stay so are one file in the snapshot', async () => {
  const { record, entries, copies } = await take({});
  expect(copies).toEqual({ z1: 'old, z1', z2: 'old, z1', z3: 'old, z1' });
  expect((entries.z3 as FileEntry).hardLink).toBe(source('z1'));
  expect(record).toMatchObject({ status: 'complete', counts: { files: 3, copiedBytes: 3, sizeBytes: 9 } });
});

describe('names that the plan has put together, and of which', () => {
  test.each([
    ['the first one is another file by now', () => replace('z1', 'NEW!'), { z1: 'NEW!, z1', z2: 'old, z2', z3: 'old, z2' }],
    ['the first one is gone', () => fs.unlinkSync(source('z1')), { z2: 'old, z2', z3: 'old, z2' }],
    ['a further one is another file by now', () => replace('z2', 'NEW!'), { z1: 'old, z1', z2: 'NEW!, z2', z3: 'old, z1' }],
    ['all but the last one are other files by now', () => (replace('z1', 'one'), replace('z2', 'two')), { z1: 'one, z1', z2: 'two, z2', z3: 'old, z3' }],
    ['two are another file together', () => (replace('z2', 'NEW!'), fs.unlinkSync(source('z3')), fs.linkSync(source('z2'), source('z3'))), { z1: 'old, z1', z2: 'NEW!, z2', z3: 'NEW!, z2' }],
    ['a further one is gone', () => fs.unlinkSync(source('z3')), { z1: 'old, z1', z2: 'old, z1' }],
  ])('%s, each have their own bytes', async (_what, happen, copies) => {
    const taken = await take({ afterPlan: happen });
    expect(taken.copies).toEqual(copies);
    expect(taken.record).toMatchObject({ status: 'complete', counts: { failed: 0, vanished: 3 - Object.keys(copies).length, files: Object.keys(copies).length } });
  });

  test('one is made anew with the number of the old file, after that was read: it has its own bytes', () => {
    const anew = (): void => {
      for (const name of ['z1', 'z2', 'z3']) fs.unlinkSync(source(name));
      fs.writeFileSync(source('z2'), 'NEW');
    };
    const run = new SnapshotRun(folder(), repository(), [source()]);
    const { birthtimeNs, ino } = fs.statSync(source('z1'), { bigint: true });
    if (birthtimeNs === 0n) return console.log('The file system keeps no time of birth: a file that is made anew with an old number is not tested.');
    let isAnew = false;
    // As ext4 does, and memory does not.
    const stop = interceptFs(({ name }, proceed) => {
      const result = proceed();
      if (!isAnew || !name.endsWith('statSync') || typeof result !== 'object' || result === null || !('birthtimeNs' in result)) return result;
      const stats = result as fs.BigIntStats;
      return stats.isFile() && stats.birthtimeNs > birthtimeNs && stats.size === 3n ? Object.assign(Object.create(Object.getPrototypeOf(stats) as object) as object, stats, { ino }) : stats;
    });
    try {
      run.plan();
      run.chunk();
      anew();
      isAnew = true;
      run.seal();
    } finally {
      stop();
    }
    expect(fs.readFileSync(join(run.data, source('z2')), 'utf8')).toBe('NEW');
  });

  test('the group has moved on after it was read: only the name that left it is read', async () => {
    const { copies } = await take({ afterChunks: () => (fs.appendFileSync(source('z1'), ' and more'), replace('z3', 'NEW!')) });
    expect(copies).toEqual({ z1: 'old, z1', z2: 'old, z1', z3: 'NEW!, z3' });
  });

  test('one cannot be read any more fails by name, and is told with the others', async () => {
    const { record, entries, copies } = await take({ afterPlan: () => (replace('z1', 'NEW!'), fs.unlinkSync(source('z2')), fs.symlinkSync('/etc/passwd', source('z2'))) });
    expect(copies).toEqual({ z1: 'NEW!, z1', z3: 'old, z3' });
    expect(entries.z2).toMatchObject({ state: 'failed', failure: { code: 'SourceNotRegularFile' } });
    expect(record).toMatchObject({ status: 'partial', counts: { failed: 1 }, late: { failed: 1, failures: [{ path: source('z2') }], failureCounts: [{ code: 'SourceNotRegularFile', count: 1 }] } });
  });

  test('the source went away fail by name, each', async () => {
    const { record } = await take({ afterPlan: () => fs.renameSync(source(), join(folder(), 'elsewhere')) });
    expect(record).toMatchObject({ status: 'partial', counts: { failed: 3, vanished: 0 }, late: { failed: 2, failureCounts: [{ code: 'SourceGone', count: 2 }] } });
  });

  test('one that is read at the end cannot be read back is tried again with the whole end', () => {
    const run = new SnapshotRun(folder(), repository(), [source()]);
    run.plan();
    run.chunk();
    replace('z3', 'NEW!');
    const stop = interceptFs(({ name, args }, proceed) => {
      if (name === 'openSync' && /staging\/late-[^/]*\/0$/.test(String(args[0])) && args[1] !== undefined && (Number(args[1]) & fs.constants.O_CREAT) === 0) throw errnoError('EIO', 5);
      return proceed();
    });
    try {
      expect(() => run.seal()).toThrow('EIO');
    } finally {
      stop();
    }
    // The next attempt does it again.
    expect(run.seal()).toMatchObject({ status: 'complete' });
    expect(fs.readFileSync(join(run.data, source('z3')), 'utf8')).toBe('NEW!');
    expect(fs.readdirSync(join(repository(), '.file-backup', 'incoming'))).toEqual([]);
  });
});

test('names of a file that has not changed since the snapshot before share its copy again', async () => {
  const end = Date.now() + 120;
  while (Date.now() < end) fs.statSync(folder());
  const first = await take({});
  const run = new SnapshotRun(folder(), repository(), [source()]);
  const second = await take({ run });
  expect(second.record).toMatchObject({ parent: first.record.name, counts: { unchangedFiles: 3, copiedBytes: 0 } });
  expect(second.copies).toEqual(first.copies);
});
