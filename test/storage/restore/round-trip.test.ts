import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { makeFifo, setEntryTimes } from '../../../src/storage/posix';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { exactTree } from '../../helpers/exact-tree';
import { contentOf, isRoot, useFolder, withoutRights } from '../../helpers/files';
import { writeSnapshot } from '../../helpers/snapshot-fixture';
import { forgeMetadata, Restore } from './restore';

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const source = (...names: string[]): string => path('source', ...names);
/** Where the source's entries go. */
const restored = (...names: string[]): string => join(path('target'), source(...names));
const raw = (latin1: string): Buffer => Buffer.concat([Buffer.from(source()), Buffer.from(`/${latin1}`, 'latin1')]);

beforeEach(() => {
  fs.mkdirSync(source());
  initRepository(path('repository'));
});

/** A tree of everything that has gone wrong in some backup program. */
function makeHostileTree(): void {
  fs.writeFileSync(source('empty'), '');
  fs.writeFileSync(source('plain'), 'plain', { mode: 0o640 });
  for (const name of ['line\nbreak', 'back\\slash', '-rf', '--', ' ', 'tab\t', '\u007f', '*?[', '…ö漢字', 'ö'.repeat(127), 'x'.repeat(255)]) fs.writeFileSync(source(name), name);
  for (const name of ['\xff\xfe', 'latin1-\xe9']) fs.writeFileSync(raw(name), 'not UTF-8');
  fs.mkdirSync(raw('dir-\xe9'));
  fs.writeFileSync(raw('dir-\xe9/\xe8'), 'below a name that is no text');
  fs.symlinkSync(Buffer.from('\xff\xfe', 'latin1'), raw('link-\xe9'));
  fs.mkdirSync(source('empty directory'));
  fs.mkdirSync(source('read-only', 'deep'), { recursive: true });
  fs.writeFileSync(source('read-only', 'deep', 'file'), 'in a read-only directory', { mode: 0o444 });
  fs.symlinkSync('nowhere', source('dangling'));
  fs.symlinkSync('read-only', source('to-directory'));
  fs.symlinkSync('/etc', source('to-outside'));
  fs.mkdirSync(source('a'));
  fs.writeFileSync(source('a', 'first'), 'two names');
  fs.linkSync(source('a', 'first'), source('second'));
  fs.linkSync(source('a', 'first'), source('third\n'));
  makeFifo(source('fifo'), 0o622);
  fs.writeFileSync(source('setuid'), 'setuid');
  fs.chmodSync(source('setuid'), 0o6755);
  const sparse = fs.openSync(source('sparse'), 'w');
  fs.writeSync(sparse, 'end', 5_000_000);
  fs.closeSync(sparse);
  fs.writeFileSync(source('large'), contentOf('large', 3 * 1024 * 1024 + 1));
  fs.writeFileSync(source('unreadable'), 'unreadable', { mode: 0o000 });
  // Names that order by slashes differently than by bytes.
  for (const name of ['o', 'o-', 'o.']) fs.mkdirSync(source(name));
  for (const name of ['o/x', 'o-/x', 'o./x']) fs.writeFileSync(source(name), name);
  setEntryTimes(source('plain'), -12_345_678_901n);
  setEntryTimes(source('dangling'), -1n);
  setEntryTimes(source('fifo'), 1_000_000_001n);
  setEntryTimes(source('empty directory'), 1_234_567_890_123_456_789n);
  fs.chmodSync(source('read-only', 'deep'), 0o555);
  fs.chmodSync(source('read-only'), 0o555);
  setEntryTimes(source('read-only', 'deep'), 1_000n);
  setEntryTimes(source('read-only'), 2_000n);
  setEntryTimes(source(), 3_000n);
}

test('a hostile tree comes back with every byte, name, time, mode and link', () => {
  makeHostileTree();
  if (isRoot) fs.chownSync(source('plain'), 1234, 4321);
  if (isRoot) fs.lchownSync(source('dangling'), 1234, 4321);
  const before = exactTree(source());
  writeSnapshot(path('repository'), source());
  const finished = new Restore(folder(), { withOwners: true }).run();
  expect(exactTree(restored())).toEqual(before);
  expect(finished).toMatchObject({ failed: 0, skipped: 0, unchanged: 0, failureSample: [], failuresPath: null, verifiedFrom: 'cache' });
  expect(finished.entries).toBe(finished.restored);
  expect(fs.statSync(restored(), { bigint: true }).mtimeNs).toBe(3_000n);
  expect(fs.readdirSync(path('target'))).toEqual([folder().split('/')[1]]);
});

test('a second restore over the first one finds everything unchanged, and touches nothing', () => {
  makeHostileTree();
  writeSnapshot(path('repository'), source());
  new Restore(folder()).run();
  const before = exactTree(path('target'));
  const inode = fs.statSync(restored('plain')).ino;
  for (const overwrite of ['always', 'ifChanged'] as const) {
    const finished = new Restore(folder(), { overwrite }).run();
    expect(finished).toMatchObject({ restored: 0, failed: 0, skipped: 0, sizeBytes: 0, unchangedBytes: expect.any(Number) as number });
    expect(finished.unchanged).toBe(finished.entries);
    expect(exactTree(path('target'))).toEqual(before);
  }
  expect(fs.statSync(restored('plain')).ino).toBe(inode);
});

test('without root\'s rights a tree comes back too, read-only directories among it', () => {
  makeHostileTree();
  fs.chmodSync(source('unreadable'), 0o400);
  if (isRoot) fs.chmodSync(source('setuid'), 0o644);
  writeSnapshot(path('repository'), source());
  const before = exactTree(source());
  if (isRoot) openToEveryone(path('repository'));
  fs.chmodSync(folder(), 0o755);
  fs.mkdirSync(path('own'));
  if (isRoot) fs.chownSync(path('own'), 65534, 65534);
  const restore = new Restore(folder(), { target: path('own') });
  const finished = withoutRights(() => restore.run());
  expect(finished).toMatchObject({ failed: 0, skipped: 0 });
  const withoutOwner = (tree: Record<string, string>): string[] => Object.entries(tree).map(([name, text]) => `${name}: ${text.replace(/\d+:\d+ /, '')}`);
  expect(withoutOwner(exactTree(join(path('own'), source())))).toEqual(withoutOwner(before));
  expect(fs.readdirSync(path('own'))).toEqual([folder().split('/')[1]]);
});

/** Of a repository: for a user who may read it all. */
function openToEveryone(directory: string): void {
  const visit = (entry: Buffer): void => {
    const stats = fs.lstatSync(entry);
    if (!stats.isSymbolicLink()) fs.chmodSync(entry, stats.mode | 0o555);
    if (stats.isDirectory()) for (const name of fs.readdirSync(entry, { encoding: 'buffer' })) visit(Buffer.concat([entry, Buffer.from('/'), name]));
  };
  visit(Buffer.from(directory));
}

(isRoot ? test : test.skip)('set-user-id bits come back only where the owner does', () => {
  fs.writeFileSync(source('of-root'), 'x');
  fs.chmodSync(source('of-root'), 0o4755);
  fs.mkdirSync(source('shared'));
  fs.chmodSync(source('shared'), 0o3777);
  writeSnapshot(path('repository'), source());
  openToEveryone(path('repository'));
  fs.chmodSync(folder(), 0o755);
  fs.mkdirSync(path('own'));
  fs.chownSync(path('own'), 65534, 65534);
  withoutRights(() => new Restore(folder(), { target: path('own'), withOwners: true }).run());
  const mode = (root: string, name: string): number => fs.statSync(join(root, source(name))).mode & 0o7777;
  expect([mode(path('own'), 'of-root'), mode(path('own'), 'shared')]).toEqual([0o755, 0o777]);
  new Restore(folder(), { withOwners: true }).run();
  expect([mode(path('target'), 'of-root'), mode(path('target'), 'shared')]).toEqual([0o4755, 0o3777]);
});

test('until a directory is finished nobody else can look into it', () => {
  fs.mkdirSync(source('secret'), { mode: 0o700 });
  fs.writeFileSync(source('secret', 'file'), 'readable in itself', { mode: 0o644 });
  writeSnapshot(path('repository'), source());
  const restore = new Restore(folder());
  restore.open();
  restore.plan();
  restore.chunk();
  expect(fs.statSync(restored('secret')).mode & 0o777).toBe(0o700);
  expect(fs.statSync(restored()).mode & 0o777).toBe(0o700);
});

test('only what was asked for is restored, with the directories that lead to it', () => {
  for (const name of ['docs/a', 'docs/sub/b', 'docs-other/c', 'd']) {
    fs.mkdirSync(join(source(name), '..'), { recursive: true });
    fs.writeFileSync(source(name), name);
  }
  fs.chmodSync(source(), 0o710);
  setEntryTimes(source(), 5_000n);
  writeSnapshot(path('repository'), source());
  expect(new Restore(folder(), { paths: [source('docs'), source('d')] }).run()).toMatchObject({ failed: 0, skipped: 0 });
  expect(Object.keys(exactTree(restored()))).toEqual(['d', 'docs', 'docs/a', 'docs/sub', 'docs/sub/b']);
  // Made for this, so as recorded; one that exists stays as it is.
  expect(fs.statSync(restored()).mode & 0o777).toBe(0o710);
  fs.chmodSync(restored(), 0o750);
  new Restore(folder(), { paths: [source('docs-other')] }).run();
  expect(fs.statSync(restored()).mode & 0o777).toBe(0o750);
  expect(fs.readFileSync(restored('docs-other', 'c'), 'utf8')).toBe('docs-other/c');
});

test.each([['/home/nobody', 'is not in snapshot'], ['docs', 'is no absolute path'], ['/docs/../x', 'is no absolute path'], ['/docs/', 'is no absolute path']])('a path that matches nothing, as %s, is refused by name', (wanted, message) => {
  fs.writeFileSync(source('file'), 'x');
  writeSnapshot(path('repository'), source());
  const restore = new Restore(folder(), { paths: [source('file'), wanted] });
  restore.open();
  expect(() => restore.plan()).toThrow(wanted);
  expect(() => restore.plan()).toThrow(message);
  expect(() => new Restore(folder(), { paths: [wanted] }).preview()).toThrow(message);
});

test('of a file\'s names the wanted ones come back as one file, also without the first', () => {
  for (const name of ['a', 'b']) fs.mkdirSync(source(name));
  fs.writeFileSync(source('a', 'first'), 'one file');
  for (const name of ['one', 'two']) fs.linkSync(source('a', 'first'), source('b', name));
  writeSnapshot(path('repository'), source());
  expect(new Restore(folder(), { paths: [source('b')] }).run()).toMatchObject({ failed: 0 });
  const tree = exactTree(restored());
  expect(Object.keys(tree)).toEqual(['b', 'b/one', 'b/two']);
  expect(tree['b/two']).toContain('is b/one');
});

test('directories that lead to a source stay as they are when they exist', () => {
  fs.writeFileSync(source('file'), 'x');
  writeSnapshot(path('repository'), source());
  const above = join(path('target'), folder());
  fs.mkdirSync(above, { recursive: true });
  fs.chmodSync(above, 0o711);
  expect(new Restore(folder()).run()).toMatchObject({ failed: 0, entries: 2, restored: 2 });
  expect(fs.statSync(above).mode & 0o777).toBe(0o711);
});

test('a directory of the source that exists gets its recorded mode and time', () => {
  fs.mkdirSync(source('sub'));
  fs.chmodSync(source('sub'), 0o750);
  setEntryTimes(source('sub'), 7_000n);
  writeSnapshot(path('repository'), source());
  fs.mkdirSync(restored('sub'), { recursive: true, mode: 0o700 });
  new Restore(folder()).run();
  expect(exactTree(restored())).toEqual(exactTree(source()));
});

test('what cannot be restored is counted and named with its reason', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(source('socket'), resolve));
  if (isRoot) fs.writeFileSync(source('file'), 'x');
  writeSnapshot(path('repository'), source());
  server.close();
  const finished = new Restore(folder()).run();
  expect(finished).toMatchObject({ skipped: 1, skippedByReason: { socket: 1 }, skippedSample: [{ path: source('socket'), reason: 'socket' }], failed: 0 });
  expect(fs.existsSync(restored('socket'))).toBe(false);
});

test('a root directory that was a source gives its attributes to the target itself, when nothing else is to be done there', () => {
  fs.writeFileSync(source('file'), 'x');
  const name = writeSnapshot(path('repository'), source());
  forgeMetadata(path('repository'), name, ([root, ...others]) => [{ ...root, mode: '0555', mtimeNs: '77' }, ...others], { sources: ['/'] });
  openToEveryone(path('repository'));
  fs.chmodSync(folder(), 0o755);
  fs.mkdirSync(path('own'));
  if (isRoot) fs.chownSync(path('own'), 65534, 65534);
  const restore = new Restore(folder(), { target: path('own') });
  withoutRights(() => restore.run());
  const { mode, mtimeNs } = fs.statSync(path('own'), { bigint: true });
  expect([Number(mode) & 0o7777, mtimeNs, fs.readdirSync(path('own'))]).toEqual([0o555, 77n, [folder().split('/')[1]]]);
});

test('a target keeps its own time and mode, but for what is made in it', () => {
  fs.writeFileSync(source('file'), 'x');
  writeSnapshot(path('repository'), source());
  new Restore(folder()).run();
  fs.chmodSync(path('target'), 0o711);
  setEntryTimes(path('target'), 5n);
  const restore = new Restore(folder());
  restore.open();
  const { mtimeNs } = fs.statSync(path('target'), { bigint: true });
  restore.plan();
  restore.chunk();
  restore.finish();
  restore.close();
  expect(fs.statSync(path('target'), { bigint: true })).toMatchObject({ mtimeNs, mode: 0o40711n });
});
