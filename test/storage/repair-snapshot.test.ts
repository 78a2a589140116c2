import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFifo, setEntryTimes } from '../../src/storage/posix';
import { TransferControl } from '../../src/storage/control';
import { repairSnapshot } from '../../src/storage/snapshot/repair/repair-snapshot';
import { incomingDirectory, initRepository } from '../../src/storage/snapshot/repository';
import { check, copyPath, flip, named, quietly, repair } from '../helpers/check';
import { contentOf, isRoot, treeOf, useFolder } from '../helpers/files';
import { writeSnapshot } from '../helpers/snapshot-fixture';
import { withMostLinks, withPatched } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const repository = (): string => join(folder(), 'repository');
const source = (...names: string[]): string => join(folder(), 'source', ...names);
/** Three snapshots: the second has hard links of the first one's copies, the third copies of its own. */
let first: string;
let second: string;
let third: string;
const copy = (name: string, snapshot = second): string => copyPath(repository(), snapshot, source(name));
const at = (name: string, snapshot = second): string => `${snapshot}/data${source(name)}`;
const inode = (path: string): number => fs.lstatSync(path).ino;

beforeEach(() => {
  initRepository(repository());
  fs.mkdirSync(source('sub/deep'), { recursive: true });
  for (const name of ['a', 'sub/b', 'sub/deep/c']) fs.writeFileSync(source(name), contentOf(name, 5000), { mode: 0o640 });
  fs.linkSync(source('sub/b'), source('sub/further'));
  fs.symlinkSync('a', source('link'));
  first = writeSnapshot(repository(), source(), { startedAt: new Date('2026-01-01T00:00:00Z') });
  second = writeSnapshot(repository(), source(), { startedAt: new Date('2026-01-02T00:00:00Z'), parent: first });
});

/** A snapshot with inodes of its own. */
function addThird(): void {
  third = writeSnapshot(repository(), source(), { startedAt: new Date('2026-01-03T00:00:00Z') });
}

/** Nothing is wrong, nothing is left over, and others agree. */
async function expectIntact(): Promise<void> {
  expect((await check(repository())).problems).toEqual([]);
  expect(fs.readdirSync(incomingDirectory(repository()))).toEqual([]);
  for (const name of [first, second]) execFileSync('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd: join(repository(), name) });
}

test('a damaged copy is replaced by another inode of another snapshot, in every snapshot that shared it', async () => {
  addThird();
  const damaged = inode(copy('a'));
  flip(copy('a'), 1234);
  expect(await repair(repository())).toEqual({ [`damaged ${at('a', first)}`]: null, [`damaged ${at('a')}`]: null });
  expect(inode(copy('a'))).toBe(inode(copy('a', first)));
  expect([damaged, inode(copy('a', third))]).not.toContain(inode(copy('a')));
  await expectIntact();
});

test('a further name of the damaged inode is no help, and nothing is changed for it', async () => {
  flip(copy('a'), 1234);
  const before = treeOf(repository());
  const reason = 'no other intact copy was found';
  expect(await repair(repository())).toEqual({ [`damaged ${at('a', first)}`]: reason, [`damaged ${at('a')}`]: reason });
  expect(treeOf(repository())).toEqual(before);
});

test('another copy that is damaged as well is no help', async () => {
  addThird();
  flip(copy('a'), 1234);
  flip(copy('a', third), 1);
  expect(Object.values(await repair(repository()))).toEqual(Array.from({ length: 3 }, () => 'no other intact copy was found'));
});

test('a copy is found by its digest where no other snapshot has the path', async () => {
  fs.writeFileSync(source('same'), fs.readFileSync(source('sub/deep/c')));
  addThird();
  fs.rmSync(copy('sub/deep/c', third));
  flip(copy('sub/deep/c'), 99);
  expect(Object.values(await repair(repository()))).toEqual([null, null, null, null]);
  expect(inode(copy('sub/deep/c'))).not.toBe(inode(copy('same', third)));
  await expectIntact();
});

test('the names of one file are one file after repair', async () => {
  addThird();
  flip(copy('sub/b'), 0);
  fs.rmSync(copy('sub/further', third));
  await repair(repository());
  expect(new Set([copy('sub/b'), copy('sub/further'), copy('sub/b', first), copy('sub/further', first)].map(inode)).size).toBe(1);
  expect(inode(copy('sub/further', third))).toBe(inode(copy('sub/b', third)));
  await expectIntact();
});

test('a file with as many names as it can have is repaired under all of them, and needs no further one for it', async () => {
  addThird();
  flip(copy('sub/b'), 10);
  const { problems } = await check(repository());
  for (const snapshot of [first, second]) {
    const own = problems.filter((problem) => problem.snapshot === snapshot);
    const { reasons } = withMostLinks(4, () => repairSnapshot({ repository: repository(), snapshot, snapshots: [first, second, third], problems: own }, new TransferControl()));
    expect(new Set(reasons)).toEqual(new Set([null]));
  }
  expect(new Set([first, second].flatMap((snapshot) => ['sub/b', 'sub/further'].map((name) => inode(copy(name, snapshot))))).size).toBe(1);
  await expectIntact();
});

test('a first name that is missing becomes a name of the same file again', async () => {
  fs.rmSync(copy('sub/b'));
  expect(await repair(repository())).toMatchObject({ [`missing ${at('sub/b')}`]: null });
  expect(inode(copy('sub/b'))).toBe(inode(copy('sub/further')));
  await expectIntact();
});

test.each<[string, () => void]>([
  ['a missing file', () => fs.rmSync(copy('a'))],
  ['a whole tree that is missing', () => fs.rmSync(copy('sub'), { recursive: true })],
  ['all of the data', () => fs.rmSync(join(repository(), second, 'data'), { recursive: true })],
  ['a link planted in place of a directory', () => [fs.renameSync(copy('sub'), join(folder(), 'outside')), fs.symlinkSync(join(folder(), 'outside'), copy('sub'))]],
  ['a FIFO in place of a file', () => [fs.rmSync(copy('a')), makeFifo(copy('a'), 0o600)]],
  ['a link that is missing', () => fs.rmSync(copy('link'))],
  ['a link that leads elsewhere', () => [fs.rmSync(copy('link')), fs.symlinkSync('elsewhere', copy('link'))]],
  ['another mode', () => fs.chmodSync(copy('a'), 0o4777)],
  ['another mode of a directory', () => fs.chmodSync(copy('sub'), 0o700)],
  ['another time', () => setEntryTimes(copy('a'), 1n)],
  ['another time of a directory', () => setEntryTimes(copy('sub'), 1n)],
  ['a list for sha256sum that is missing', () => fs.rmSync(join(repository(), second, 'SHA256SUMS'))],
  ['a list for sha256sum that is damaged', () => flip(join(repository(), second, 'SHA256SUMS'), 70)],
])('is repaired, modes and times included: %s', async (_title, damage) => {
  const before = shapeOf(copy('.'));
  damage();
  const outcomes = await repair(repository());
  expect(Object.keys(outcomes).length).toBeGreaterThan(0);
  expect(new Set(Object.values(outcomes))).toEqual(new Set([null]));
  expect(shapeOf(copy('.'))).toEqual(before);
  await expectIntact();
});

/** As `treeOf`, for trees whose inodes may change. */
function shapeOf(path: string): Record<string, string> {
  return Object.fromEntries(Object.entries(treeOf(path)).map(([name, text]) => [name, text.replace(/inode \d+/, '')]));
}

test.each<[string, () => void]>([
  ['a file that does not belong there', () => quietly(copy('sub'), () => fs.writeFileSync(copy('sub/new'), 'x'))],
  ['a file in place of a link', () => replaced('link', (path) => fs.writeFileSync(path, 'x'))],
  ['a file in place of a directory', () => replaced('sub/deep', (path) => fs.writeFileSync(path, 'x'))],
  ['a directory in place of a file', () => replaced('a', (path) => fs.mkdirSync(join(path, 'inside'), { recursive: true }))],
  ['damaged metadata', () => flip(join(repository(), second, 'metadata.ndjson'), 70)],
  ['a damaged record', () => flip(join(repository(), second, 'snapshot.json'), 70)],
])('is left as it is, and said to be: %s', async (_title, damage) => {
  damage();
  const before = treeOf(repository());
  const outcomes = Object.values(await repair(repository()));
  expect(outcomes.length).toBeGreaterThan(0);
  expect(outcomes).not.toContain(null);
  expect(treeOf(repository())).toEqual(before);
});

function replaced(name: string, make: (path: string) => void): void {
  quietly(dirname(copy(name)), () => {
    fs.rmSync(copy(name), { recursive: true });
    make(copy(name));
  });
}

describe('a copy that has names outside of the repository', () => {
  const OTHER = 12_345;
  const outside = (): string => join(folder(), 'of somebody else');
  /** All that a repair could change of it: that one name less is left changes the number of names, and ctime. */
  const state = (): unknown[] => {
    const { ino, uid, gid, mode, mtimeNs, size } = fs.lstatSync(outside(), { bigint: true });
    return [ino, uid, gid, mode, mtimeNs, size, fs.readFileSync(outside(), 'latin1')];
  };
  /** A file of another user's, and a further name of it in the place of a copy. */
  function exchange(content: Buffer, place = copy('a')): void {
    fs.writeFileSync(outside(), content, { mode: 0o600 });
    if (isRoot) fs.chownSync(outside(), OTHER, OTHER);
    setEntryTimes(outside(), 1_000n);
    quietly(dirname(place), () => {
      fs.rmSync(place);
      fs.linkSync(outside(), place);
    });
  }
  const repaired = async (): Promise<void> => {
    const before = state();
    expect(new Set(Object.values(await repair(repository())))).toEqual(new Set([null]));
    expect(state()).toEqual(before);
    expect(fs.lstatSync(outside()).nlink).toBe(1);
    await expectIntact();
  };

  test('because somebody linked to it gets a file of its own, and the other name keeps everything', async () => {
    fs.linkSync(copy('a'), outside());
    fs.chmodSync(copy('a'), 0o666);
    await repaired();
    expect(inode(copy('a'))).toBe(inode(copy('a', first)));
  });

  test('and is damaged is replaced under the repository\'s names only', async () => {
    addThird();
    fs.linkSync(copy('a'), outside());
    flip(copy('a'), 77);
    await repaired();
  });

  test('because it is another user\'s file with the same content is copied, and that file keeps mode, owner and time', async () => {
    exchange(contentOf('a', 5000));
    await repaired();
    expect(fs.lstatSync(copy('a')).uid).toBe(process.getuid?.());
  });

  test('because it is another user\'s file with other content is made from an intact copy', async () => {
    exchange(contentOf('other', 5000));
    await repaired();
  });

  test('is left alone where no intact copy is to be found', async () => {
    exchange(contentOf('other', 5000));
    quietly(dirname(copy('a', first)), () => fs.rmSync(copy('a', first)));
    const before = state();
    expect(new Set(Object.values(await repair(repository())))).toEqual(new Set(['no other intact copy was found']));
    expect(state()).toEqual(before);
  });

  test('is no name for a further one: both become names of a new file', async () => {
    fs.linkSync(copy('sub/b'), outside());
    fs.rmSync(copy('sub/further'));
    await repaired();
    expect(inode(copy('sub/further'))).toBe(inode(copy('sub/b')));
  });

  test('and gets it at any moment of a repair is not touched', async () => {
    const reasons = new Set<unknown>();
    for (let nth = 1, isPlanted = true; isPlanted; nth += 1) {
      fs.rmSync(outside(), { force: true });
      fs.chmodSync(copy('a', first), 0o666);
      const { problems } = await check(repository(), null, [first]);
      let opened = 0;
      let planted: unknown[] = [];
      const plant = ([path]: readonly unknown[], proceed: () => unknown): unknown => {
        opened += String(path).endsWith('/a') ? 1 : 0;
        if (opened === nth && planted.length === 0) {
          fs.linkSync(copy('a', first), outside());
          planted = state();
        }
        return proceed();
      };
      const repaired = withPatched('openSync', plant, () => repairSnapshot({ repository: repository(), snapshot: first, snapshots: [first, second], problems }, new TransferControl()));
      repaired.reasons.forEach((reason) => reasons.add(reason));
      isPlanted = planted.length > 0;
      if (isPlanted) expect(state()).toEqual(planted);
    }
    expect(reasons).toEqual(new Set([null, 'it has names outside of the repository by now']));
  });
});

test('a copy that only snapshots share is put right in place', async () => {
  const before = inode(copy('a'));
  fs.chmodSync(copy('a'), 0o600);
  await repair(repository());
  expect([inode(copy('a')), inode(copy('a', first))]).toEqual([before, before]);
  await expectIntact();
});

test('what links out of the repository is never written to', async () => {
  addThird();
  fs.renameSync(copy('sub'), join(folder(), 'outside'));
  fs.symlinkSync(join(folder(), 'outside'), copy('sub'));
  const before = treeOf(join(folder(), 'outside'));
  await repair(repository());
  expect(treeOf(join(folder(), 'outside'))).toEqual(before);
  expect(named((await check(repository())).problems)).toEqual([]);
});
