import * as fs from 'node:fs';
import { join } from 'node:path';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { check } from '../../helpers/check';
import { memoryFolder, useFolder } from '../../helpers/files';
import { Crash, crashing, withMostLinks, withoutHardLinks } from '../patched-fs';
import { Restore } from '../restore/restore';
import { SnapshotRun } from './snapshot-run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder(memoryFolder);
const repository = (): string => join(folder(), 'repository');
const source = (...names: string[]): string => join(folder(), 'source', ...names);
const snapshot = (): SnapshotRun => new SnapshotRun(folder(), repository(), [source()]);
const names = Array.from({ length: 7 }, (_, index) => `name ${index}`);
const restored = (name: string): string => join(folder(), 'target', source(name));

/** How many files the names are, and what is in them. */
function filesOf(pathOf: (name: string) => string): { readonly files: number; readonly contents: readonly string[] } {
  return { files: new Set(names.map((name) => fs.statSync(pathOf(name)).ino)).size, contents: [...new Set(names.map((name) => fs.readFileSync(pathOf(name), 'utf8')))] };
}

/** One file of seven names, written long ago. */
beforeEach(() => {
  initRepository(repository());
  fs.mkdirSync(source());
  const [first = '', ...further] = names;
  fs.writeFileSync(source(first), 'content', { mode: 0o640 });
  for (const name of further) fs.linkSync(source(first), source(name));
  const end = Date.now() + 120;
  while (Date.now() < end) fs.statSync(folder());
});

describe('where a file can have four names', () => {
  test('snapshots stay complete: what is linked no further gets a fresh copy, and the names to come are links of that', async () => {
    for (const copies of [2, 2, 2]) {
      const run = snapshot();
      expect(withMostLinks(4, () => run.take())).toMatchObject({ status: 'complete', counts: { files: 7, failed: 0 } });
      expect(filesOf((name) => join(run.data, source(name)))).toEqual({ files: copies, contents: ['content'] });
    }
    expect((await check(repository())).problems).toEqual([]);
  });

  test('a snapshot of it knows the names for one file all the same, and is restored as one', () => {
    withMostLinks(4, () => snapshot().take());
    const restore = new Restore(folder());
    expect(restore.run()).toMatchObject({ failed: 0 });
    expect(filesOf(restored)).toEqual({ files: 1, contents: ['content'] });
  });

  test('a restore makes a fresh copy and links to that, and not one copy for each name', () => {
    snapshot().take();
    expect(withMostLinks(4, () => new Restore(folder()).run())).toMatchObject({ failed: 0 });
    expect(filesOf(restored)).toEqual({ files: 2, contents: ['content'] });
  });

  test('a file that further snapshots cannot be linked to is copied once, and linked to from then on', () => {
    for (const name of names.slice(1)) fs.unlinkSync(source(name));
    const end = Date.now() + 120;
    while (Date.now() < end) fs.statSync(folder());
    const runs = Array.from({ length: 9 }, snapshot);
    withMostLinks(4, () => runs.forEach((run) => expect(run.take()).toMatchObject({ status: 'complete' })));
    expect(new Set(runs.map((run) => fs.statSync(join(run.data, source(names[0] ?? ''))).ino)).size).toBe(3);
  });

  test('a crash at any call of the end leaves nothing half: repeated, it completes the snapshot', async () => {
    for (let at = 1, crashed = true; crashed; at += 1) {
      const run = snapshot();
      run.plan();
      run.chunk();
      const death = crashing(at, { halfDone: at % 2 === 0 });
      try {
        withMostLinks(4, () => run.seal());
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
      } finally {
        death.restart();
      }
      crashed = death.crashed();
      expect(withMostLinks(4, () => run.seal())).toMatchObject({ status: 'complete', counts: { files: 7 } });
      expect(filesOf((name) => join(run.data, source(name))).contents).toEqual(['content']);
    }
    expect((await check(repository())).problems).toEqual([]);
  });
});

test('where files have no further names at all, each name is a copy', async () => {
  const run = snapshot();
  expect(withoutHardLinks(() => run.take())).toMatchObject({ status: 'complete', counts: { files: 7, copiedBytes: 49 } });
  expect(filesOf((name) => join(run.data, source(name)))).toEqual({ files: 7, contents: ['content'] });
  expect((await check(repository())).problems).toEqual([]);
});
