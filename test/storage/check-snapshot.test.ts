import fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { allData, parseDataShare, type DataShare } from '../../src/core/data-share';
import { TransferControl } from '../../src/storage/control';
import { pathOf, pathText } from '../../src/storage/path-bytes';
import { makeFifo, setEntryTimes } from '../../src/storage/posix';
import { checkSnapshotPart } from '../../src/storage/snapshot/check/check-part';
import { findExtra, type ExtraFound } from '../../src/storage/snapshot/check/find-extra';
import type { Problem } from '../../src/storage/snapshot/check/problem';
import { inodeMemory, ReadInodes } from '../../src/storage/snapshot/check/read-inodes';
import { initRepository } from '../../src/storage/snapshot/repository';
import { readRecord, recordText } from '../../src/storage/snapshot/snapshot-record';
import { check, copyPath, filesBelow, flip, named, quietly } from '../helpers/check';
import { contentOf, useFolder, withoutRights } from '../helpers/files';
import { writeSnapshot } from '../helpers/snapshot-fixture';

const folder = useFolder();
const repository = (): string => join(folder(), 'repository');
const source = (...names: string[]): string => join(folder(), 'source', ...names);
let first: string;
let second: string;
const copy = (name: string, snapshot = second): string => copyPath(repository(), snapshot, source(name));
/** As problems name it. */
const at = (name: string, snapshot = second): string => `${snapshot}/data${source(name)}`;

beforeEach(() => {
  initRepository(repository());
  for (const directory of ['sub/deep', 'empty', 'sub.d']) fs.mkdirSync(source(directory), { recursive: true });
  for (const [index, name] of ['a', 'b', 'sub/a', 'sub/deep/file', 'sub.d/x', 'sub/line\nbreak \\ and'].entries()) fs.writeFileSync(source(name), contentOf(name, 10 + index * 3000));
  fs.writeFileSync(Buffer.concat([Buffer.from(source('sub')), Buffer.from('/\xff\xfe', 'latin1')]), 'not UTF-8');
  fs.writeFileSync(source('none'), '');
  fs.linkSync(source('sub/a'), source('sub/linked'));
  fs.symlinkSync('a', source('link'));
  makeFifo(source('fifo'), 0o600);
  first = writeSnapshot(repository(), source(), { startedAt: new Date('2026-01-01T00:00:00Z') });
  fs.writeFileSync(source('b'), 'changed');
  second = writeSnapshot(repository(), source(), { startedAt: new Date('2026-01-02T00:00:00Z'), parent: first });
});

/** Files of both snapshots: all but `b` and the hard linked `sub/linked` are shared. */
const FILES = 9;
const INODES = 9;

test('nothing is wrong with what nobody touched, and every inode is read once', async () => {
  const { problems, counts } = await check(repository());
  expect(problems).toEqual([]);
  const sizes = new Map(filesBelow(repository()).map((path) => fs.statSync(path)).filter(({ mode }) => (mode & 0o777) !== 0o600).map(({ ino, size }) => [ino, size]));
  expect(counts).toMatchObject({ snapshots: 2, files: 2 * FILES, readFiles: INODES, readBytes: [...sizes.values()].reduce((sum, size) => sum + size, 0), problems: 0 });
  expect(await check(repository(), null)).toMatchObject({ problems: [], counts: { readFiles: 0, readFrom: null } });
});

test('one flipped byte anywhere is found, and named wherever the file is', async () => {
  const published = [first, second].flatMap((name) => filesBelow(join(repository(), name))).filter((path) => fs.statSync(path).size > 0);
  const damaged = fc.record({ file: fc.nat(published.length - 1), place: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }) });
  await fc.assert(
    fc.asyncProperty(damaged, async ({ file, place }) => {
      const path = published[file] ?? Buffer.alloc(0);
      const { size, ino } = fs.statSync(path);
      const offset = Math.floor(place * size);
      flip(path, offset);
      const { problems } = await check(repository());
      flip(path, offset);
      const expected = published.filter((other) => fs.statSync(other).ino === ino).map((other) => pathText(pathOf(other.subarray(repository().length + 1))));
      expect(named(problems).map((name) => name.slice(name.indexOf(' ') + 1))).toEqual(expected.sort());
    }),
    { seed: 7, numRuns: 60 },
  );
});

test.each<[string, () => void, () => string[]]>([
  ['a deleted file', () => quietly(copy('.'), () => fs.unlinkSync(copy('a'))), () => [`missing ${at('a')}`]],
  ['an added file', () => quietly(copy('sub'), () => fs.writeFileSync(copy('sub/new'), 'x')), () => [`extra ${at('sub/new')}`]],
  ['an added name that is no text', () => quietly(copy('.'), () => fs.writeFileSync(Buffer.concat([Buffer.from(copy('.')), Buffer.from('/\xfd', 'latin1')]), 'x')), () => [`extra ${at('\\xfd')}`]],
  ['an added directory and what is in it', () => quietly(copy('sub'), () => fs.mkdirSync(copy('sub/b/c'), { recursive: true })), () => [`extra ${at('sub/b')}`, `extra ${at('sub/b/c')}`]],
  ['a copy of what is recorded only', () => quietly(copy('.'), () => makeFifo(copy('fifo'), 0o600)), () => [`extra ${at('fifo')}`]],
  ['a symbolic link in place of a file', () => replaced('a', (path) => fs.symlinkSync(source('a'), path)), () => [`wrongType ${at('a')}`]],
  ['a directory in place of a file', () => replaced('a', (path) => fs.mkdirSync(path)), () => [`wrongType ${at('a')}`]],
  ['a FIFO in place of a file', () => replaced('a', (path) => makeFifo(path, 0o644)), () => [`wrongType ${at('a')}`]],
  ['another target of a link', () => replaced('link', (path) => [fs.symlinkSync('b', path), setEntryTimes(path, fs.lstatSync(copy('link', first), { bigint: true }).mtimeNs)]), () => [`wrongMetadata ${at('link')}`]],
  ['a mode', () => fs.chmodSync(copy('b'), 0o640), () => [`wrongMetadata ${at('b')}`]],
  ['a set-user-id bit', () => fs.chmodSync(copy('b'), 0o4644), () => [`wrongMetadata ${at('b')}`]],
  ['a mode of a directory', () => fs.chmodSync(copy('sub.d'), 0o700), () => [`wrongMetadata ${at('sub.d')}`]],
  ['a time that differs by a nanosecond', () => setEntryTimes(copy('b'), fs.statSync(copy('b'), { bigint: true }).mtimeNs + 1n), () => [`wrongMetadata ${at('b')}`]],
  ['another size', () => quietly(copy('b'), () => fs.truncateSync(copy('b'), 3)), () => [`damaged ${at('b')}`]],
  ['a hard link that became a file of its own', () => replaced('sub/linked', (path) => [fs.copyFileSync(copy('sub/a'), path), setEntryTimes(path, fs.statSync(copy('sub/a'), { bigint: true }).mtimeNs)]), () => [`wrongMetadata ${at('sub/linked')}`]],
  ['a file beside the records', () => fs.writeFileSync(join(repository(), second, 'notes'), 'x'), () => [`extra ${second}/notes`]],
  ['a list for sha256sum that is missing', () => fs.unlinkSync(join(repository(), second, 'SHA256SUMS')), () => [`badRecord ${second}/SHA256SUMS`]],
  ['a link in place of the list', () => [fs.renameSync(join(repository(), second, 'SHA256SUMS'), join(folder(), 'list')), fs.symlinkSync(join(folder(), 'list'), join(repository(), second, 'SHA256SUMS'))], () => [`badRecord ${second}/SHA256SUMS`]],
  ['metadata that is missing', () => fs.unlinkSync(join(repository(), second, 'metadata.ndjson')), () => [`badRecord ${second}/metadata.ndjson`]],
  ['a record that is missing', () => fs.unlinkSync(join(repository(), second, 'snapshot.json')), () => [`badRecord ${second}/snapshot.json`]],
])('is named: %s', async (_title, damage, expected) => {
  damage();
  expect(named((await check(repository())).problems)).toEqual(expected().sort());
});

/** Puts something else in the place of a copy. */
function replaced(name: string, make: (path: string) => unknown): void {
  quietly(dirname(copy(name)), () => {
    fs.rmSync(copy(name));
    make(copy(name));
  });
}

test('a list that agrees with its digest, and not with the metadata, is named', async () => {
  const list = join(repository(), second, 'SHA256SUMS');
  const text = fs.readFileSync(list, 'utf8').split('\n').slice(1).join('\n');
  fs.writeFileSync(list, text);
  const record = { ...readRecord(repository(), second), checksumsSha256: createHash('sha256').update(text).digest('hex') };
  fs.writeFileSync(join(repository(), second, 'snapshot.json'), recordText(record));
  expect((await check(repository())).problems).toMatchObject([{ kind: 'badRecord', snapshot: second, path: 'SHA256SUMS', expected: 'the files of metadata.ndjson' }]);
});

test('a link that was planted in place of a directory is not followed', async () => {
  fs.renameSync(copy('sub'), join(folder(), 'outside'));
  quietly(copy('.'), () => fs.symlinkSync(join(folder(), 'outside'), copy('sub')));
  const { problems } = await check(repository());
  const inside = ['a', 'deep', 'deep/file', 'line\nbreak \\ and', 'linked', '\\xff\\xfe'].map((name) => `missing ${at(`sub/${name}`)}`);
  expect(named(problems)).toContain(`wrongType ${at('sub')}`);
  expect(named(problems).filter((name) => name.startsWith('missing'))).toEqual(inside.sort());
});

test('further names are compared with the first one however many directories were opened meanwhile', async () => {
  fs.mkdirSync(source('aa'));
  fs.writeFileSync(source('aa/first'), 'many names');
  for (let directories = 20; directories < 40; directories += 1) {
    const parent = source(`x${directories}`);
    for (let index = 0; index < directories; index += 1) {
      fs.mkdirSync(join(parent, `d${index}`), { recursive: true });
      fs.writeFileSync(join(parent, `d${index}`, 'file'), '');
    }
    fs.linkSync(source('aa/first'), join(parent, 'z'));
  }
  const name = writeSnapshot(repository(), source(), { startedAt: new Date('2026-01-03T00:00:00Z') });
  const { mtimeNs } = fs.statSync(source('aa/first'), { bigint: true });
  const further = Array.from({ length: 20 }, (_, index) => `x${20 + index}/z`);
  for (const path of further.map((each) => copy(each, name))) {
    quietly(dirname(path), () => {
      fs.rmSync(path);
      fs.writeFileSync(path, 'many names');
    });
    setEntryTimes(path, mtimeNs);
  }
  expect(named((await check(repository(), allData, [name])).problems)).toEqual(further.map((each) => `wrongMetadata ${at(each, name)}`).sort());
});

test('a check changes nothing, whatever it finds', async () => {
  flip(copy('a'), 1);
  fs.rmSync(copy('b'));
  fs.writeFileSync(copy('new'), 'x');
  const look = (): string => execFileSync('find', [repository(), '-printf', '%p %i %y %m %s %T@ %C@ %n\n'], { encoding: 'latin1' });
  const before = look();
  expect((await check(repository())).counts.problems).toBeGreaterThan(3);
  expect(look()).toBe(before);
});

test('a snapshot that is no directory is named, and the others are checked', async () => {
  fs.renameSync(join(repository(), second), join(folder(), 'moved'));
  fs.symlinkSync(join(folder(), 'moved'), join(repository(), second));
  const { problems, counts } = await check(repository());
  expect(named(problems)).toEqual([`wrongType ${second}/.`]);
  expect(counts.files).toBe(FILES);
});

test('so many parts read every file exactly once, wherever its names are', async () => {
  const copies = [first, second].flatMap((name) => filesBelow(join(repository(), name, 'data'))).filter((path) => fs.statSync(path).size > 0);
  for (const path of new Map(copies.map((path) => [fs.statSync(path).ino, path])).values()) flip(path, 0);
  const whole = await check(repository());
  const parts = await Promise.all([1, 2, 3, 4, 5].map((part) => check(repository(), share(`${part}/5`))));
  expect(parts.flatMap(({ problems }) => named(problems)).sort()).toEqual(named(whole.problems));
  expect(parts.reduce((sum, { counts }) => sum + counts.readFiles, 0)).toBe(INODES);
  expect(parts.filter(({ counts }) => counts.readFiles > 0).length).toBeGreaterThan(1);
  expect(whole.counts.kinds.damaged).toBe(2 * (FILES - 1));
});

function share(text: string, day = 0): DataShare {
  return parseDataShare(text, day) ?? allData;
}

test('a percentage reads another part each day, and everything in the end', async () => {
  const days = await Promise.all([100, 101, 102, 103].map((day) => check(repository(), share('25%', day))));
  expect(days.reduce((sum, { counts }) => sum + counts.readFiles, 0)).toBe(INODES);
});

test.each([1, 2, 7, 1000])('what does not belong there is named once, however much it is, %d at a time', (limit) => {
  const many = Array.from({ length: 25 }, (_, index) => String(index));
  fs.mkdirSync(copy('sub/deep/many/more'), { recursive: true });
  for (const name of many) fs.writeFileSync(copy(`sub/deep/many/${name}`), '');
  for (const name of ['0', 'sub/deep/many/more/last', 'sub.d/x2', 'z']) fs.writeFileSync(copy(name), '');
  const problems: Problem[] = [];
  for (let after: string | null = ''; after !== null; ) {
    const answer: ExtraFound = findExtra({ repository: repository(), snapshot: second, after, limit }, new TransferControl());
    expect(answer.problems.length).toBeLessThanOrEqual(limit);
    problems.push(...answer.problems);
    after = answer.next;
  }
  const extra = [...many.map((name) => `many/${name}`), 'many', 'many/more', 'many/more/last'].map((name) => `sub/deep/${name}`);
  expect(named(problems)).toEqual([...extra, '0', 'sub.d/x2', 'z'].map((name) => `extra ${at(name)}`).sort());
});

test('a file that may not be read is named as such', () => {
  fs.chmodSync(copy('b'), 0);
  for (const path of [folder(), repository(), join(repository(), second)]) fs.chmodSync(path, 0o755);
  fs.chmodSync(join(repository(), second, 'metadata.ndjson'), 0o644);
  fs.chmodSync(join(repository(), second, 'data'), 0o755);
  const request = { repository: repository(), snapshot: second, sources: [source()], range: { start: 0, end: Infinity }, share: allData, inodes: inodeMemory(0) };
  const { problems } = withoutRights(() => checkSnapshotPart(request, new TransferControl()));
  expect(problems.filter(({ kind }) => kind === 'unreadable')).toMatchObject([{ path: `data${source('b')}`, found: 'EACCES' }]);
});

test('a check can be cancelled', () => {
  const control = new TransferControl();
  control.cancel();
  const request = { repository: repository(), snapshot: second, sources: [source()], range: { start: 0, end: Infinity }, share: null, inodes: inodeMemory(0) };
  expect(() => checkSnapshotPart(request, control)).toThrow('cancelled');
});

test('an inode is read once, and again where that failed or no room was left', () => {
  const inodes = new ReadInodes(inodeMemory(0));
  const stats = (ino: number): fs.BigIntStats => ({ dev: 1n, ino: BigInt(ino) }) as fs.BigIntStats;
  const digest = (seed: number): string => createHash('sha256').update(String(seed)).digest('hex');
  let reads = 0;
  const read = (ino: number): string => {
    reads += 1;
    return digest(ino);
  };
  for (const ino of [1, 2, 1, 2]) expect(inodes.digestOf(stats(ino), () => read(ino))).toBe(digest(ino));
  expect(reads).toBe(2);
  const fails = (): string => {
    throw new Error('cannot be read');
  };
  expect(() => inodes.digestOf(stats(3), fails)).toThrow('cannot be read');
  expect(inodes.digestOf(stats(3), () => read(3))).toBe(digest(3));
  for (let ino = 10; ino < 5000; ino += 1) expect(inodes.digestOf(stats(ino), () => read(ino))).toBe(digest(ino));
  expect(inodes.digestOf(stats(4999), () => read(4999))).toBe(digest(4999));
});
