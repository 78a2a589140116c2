import * as fs from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../operation';
import { treeOf, useFolder } from '../../helpers/files';
import { Crash, crashing, errnoError, interceptFs, withInterruption, withMostLinks, withoutHardLinks } from '../patched-fs';
import { Run } from './run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const sources = (): string[] => ['new', 'replaced', 'late'].map((name) => path(name));
const targetOf = (source: string): string => join(path('backups'), source);

/** Three sources; the target of `replaced` is there already, below directories of its own; the others' parents are missing. */
beforeEach(() => {
  for (const source of sources()) fs.writeFileSync(source, `content of ${source}`);
  fs.mkdirSync(join(targetOf(folder())), { recursive: true });
  fs.writeFileSync(targetOf(path('replaced')), 'previous content', { mode: 0o604 });
});

/** The destination without the run's own directory. */
function destination(): Record<string, string> {
  return Object.fromEntries(Object.entries(treeOf(path('backups'))).filter(([name]) => !name.startsWith('.file-backup')));
}

function planned({ deep = false } = {}): Run {
  const run = new Run(folder(), true);
  fs.mkdirSync(path('deep', 'er'), { recursive: true });
  fs.writeFileSync(path('deep', 'er', 'file'), 'deep content');
  run.plan(deep ? [path('deep', 'er', 'file'), ...sources()] : sources(), 'tree');
  return run;
}

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

test('undo takes back what a chunk published, with the parents that were made for it, and puts back what was there', () => {
  const before = destination();
  const run = planned({ deep: true });
  expect(run.run().counts).toEqual({ backedUp: 4, unchanged: 0, failed: 0 });
  expect(destination()).not.toEqual(before);
  expect(run.undo()).toEqual({ restored: 1, removed: 3, foreign: 0 });
  expect(destination()).toEqual(before);
  expect(run.undo()).toEqual({ restored: 0, removed: 0, foreign: 0 });
});

describe('an attempt that dies at any change of the file system is undone', () => {
  test.each(['at once', 'after a second attempt has done the chunk'])('%s', (when) => {
    let nth = 1;
    for (let died = true; died; nth += 1) {
      const before = destination();
      const run = planned({ deep: true });
      const first = run.attempt();
      died = dyingAt(nth, () => run.run(first));
      if (when !== 'at once') run.run();
      expect([nth, run.undo().foreign, destination()]).toEqual([nth, 0, before]);
      run.seal();
    }
    expect(nth).toBeGreaterThan(20);
  });

  test('in a second pass, which tries again what failed in the first', () => {
    let nth = 1;
    for (let died = true; died; nth += 1) {
      const before = destination();
      const run = planned();
      fs.renameSync(path('late'), path('away'));
      expect(run.run().counts).toEqual({ backedUp: 2, unchanged: 0, failed: 1 });
      fs.renameSync(path('away'), path('late'));
      died = dyingAt(nth, () => run.run(run.attempt(1, [2])));
      expect([nth, run.undo().foreign, destination()]).toEqual([nth, 0, before]);
      run.seal();
    }
    expect(nth).toBeGreaterThan(8);
  });
});

test('undo that dies at any change of the file system is finished by the next', () => {
  let nth = 1;
  for (let died = true; died; nth += 1) {
    const before = destination();
    const run = planned({ deep: true });
    run.run();
    died = dyingAt(nth, () => run.undo());
    run.undo();
    expect([nth, destination()]).toEqual([nth, before]);
    run.seal();
  }
});

test('a previous target with as many names as it can have is kept as a copy, and put back whole', () => {
  fs.linkSync(targetOf(path('replaced')), path('further name'));
  const before = destination();
  const withoutInodes = (tree: object): string => JSON.stringify(tree).replaceAll(/inode \d+/g, 'inode');
  const run = planned();
  expect(withMostLinks(2, () => run.run()).counts).toEqual({ backedUp: 3, unchanged: 0, failed: 0 });
  expect(withMostLinks(2, () => run.undo())).toEqual({ restored: 1, removed: 2, foreign: 0 });
  expect(withoutInodes(destination())).toEqual(withoutInodes(before));
});

test('what undo has taken and gives back as somebody else\'s keeps its name where it gets no further link', () => {
  const run = planned();
  run.run();
  const target = targetOf(path('new'));
  const restore = interceptFs(({ name, args }, proceed) => {
    if (name === 'linkSync') throw errnoError('EMLINK', 31);
    if (name === 'renameSync' && String(args[1]).includes('/taken-') && fs.readFileSync(target, 'utf8') !== 'of somebody else') {
      fs.writeFileSync(path('other'), 'of somebody else');
      fs.renameSync(path('other'), target);
    }
    return proceed();
  });
  try {
    expect(run.undo()).toMatchObject({ foreign: 1 });
  } finally {
    restore();
  }
  expect(fs.readFileSync(target, 'utf8')).toBe('of somebody else');
});

test('a second pass keeps what the first one did, and counts once', () => {
  const run = planned();
  fs.renameSync(path('late'), path('away'));
  run.run();
  const inode = fs.statSync(targetOf(path('new'))).ino;
  fs.renameSync(path('away'), path('late'));
  expect(run.run(run.attempt(1, [2]))).toMatchObject({ pass: 1, counts: { backedUp: 3, unchanged: 0, failed: 0 }, failed: [] });
  expect(fs.statSync(targetOf(path('new'))).ino).toBe(inode);
});

test('what somebody else has written since stays', () => {
  const run = planned();
  run.run();
  fs.writeFileSync(path('other'), 'of somebody else');
  fs.renameSync(path('other'), targetOf(path('new')));
  expect(run.undo()).toEqual({ restored: 1, removed: 1, foreign: 1 });
  expect(fs.readFileSync(targetOf(path('new')), 'utf8')).toBe('of somebody else');
});

test('an attempt that comes back after another one has done the chunk publishes nothing and changes no journal', () => {
  const run = planned();
  const late = run.attempt();
  const staged = run.stage(late);
  const done = run.run();
  const before = destination();
  expect(run.publish(late, staged)).toEqual(done);
  expect(destination()).toEqual(before);
});

test('of two attempts that publish at the same time the first journal counts, and no file of theirs counts as somebody else\'s', () => {
  const before = destination();
  const run = planned();
  const [slow, fast] = [run.attempt(), run.attempt()];
  const [slowStaged, fastStaged] = [run.stage(slow), run.stage(fast)];
  let report: unknown;
  // The other attempt begins to publish when this one has read its files back, and is faster.
  withInterruption('linkSync', 1, () => (report = run.publish(fast, fastStaged)), () => {
    expect(run.publish(slow, slowStaged)).toMatchObject({ counts: { backedUp: 3, failed: 0 } });
  });
  expect(report).toMatchObject({ counts: { backedUp: 3, failed: 0 } });
  run.undo();
  expect(destination()).toEqual(before);
});

test('an attempt that dies while it publishes at the same time leaves nothing that the other one takes for somebody else\'s', () => {
  let nth = 1;
  for (let died = true; died; nth += 1) {
    const before = destination();
    const run = planned();
    const [slow, fast] = [run.attempt(), run.attempt()];
    const [slowStaged, fastStaged] = [run.stage(slow), run.stage(fast)];
    withInterruption('linkSync', 1, () => (died = dyingAt(nth, () => run.publish(fast, fastStaged))), () => {
      expect([nth, run.publish(slow, slowStaged).counts]).toEqual([nth, { backedUp: 3, unchanged: 0, failed: 0 }]);
    });
    run.undo();
    expect([nth, destination()]).toEqual([nth, before]);
    run.seal();
  }
});

test('nothing is undone, and nothing is called undone, while the destination is away', () => {
  const run = planned();
  run.run();
  fs.renameSync(path('backups'), path('away'));
  fs.mkdirSync(path('backups'));
  expect(codeOf(() => run.undo())).toBe('DestinationGone');
  expect(fs.readdirSync(path('backups'))).toEqual([]);
});

test('all or nothing is refused where there are no hard links, before anything is planned', () => {
  expect(codeOf(() => withoutHardLinks(planned))).toBe('NoHardLinks');
});
