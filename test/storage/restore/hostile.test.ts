import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { makeFifo } from '../../../src/storage/posix';
import type { FileEntry, SnapshotEntry } from '../../../src/storage/snapshot/entry';
import { orderKey } from '../../../src/storage/snapshot/entry-order';
import { fromJsonPath } from '../../../src/storage/path-bytes';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { exactTree } from '../../helpers/exact-tree';
import { damage, useFolder } from '../../helpers/files';
import { writeSnapshot } from '../../helpers/snapshot-fixture';
import { codeOf } from '../operation';
import { forgeMetadata, Restore } from './restore';

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const source = (...names: string[]): string => path('source', ...names);
const restored = (...names: string[]): string => join(path('target'), source(...names));
const data = (...names: string[]): string => join(path('repository'), snapshot, 'data', source(...names));
let snapshot = '';

beforeEach(() => {
  initRepository(path('repository'));
  fs.mkdirSync(source('sub', 'deep'), { recursive: true });
  for (const name of ['a', 'b', 'sub/c', 'sub/deep/d']) fs.writeFileSync(source(name), `content of ${name}`);
  fs.symlinkSync('a', source('link'));
  snapshot = writeSnapshot(path('repository'), source());
  fs.mkdirSync(path('outside'));
  fs.writeFileSync(path('outside', 'secret'), 'secret');
  fs.writeFileSync(path('outside', 'c'), 'another c');
  fs.mkdirSync(path('target'));
});

/** Everything but the target. */
const surroundings = (): Record<string, string> => {
  const tree = exactTree(folder());
  return Object.fromEntries(Object.entries(tree).filter(([name]) => name !== 'target' && !name.startsWith('target/')));
};

function expectOutsideUntouched<T>(calls: () => T): T {
  const before = surroundings();
  const answer = calls();
  expect(surroundings()).toEqual(before);
  return answer;
}

const file = (at: unknown, extra: object = {}): object => ({
  path: at, mode: '0644', uid: 0, gid: 0, mtimeNs: '1', type: 'file', state: 'copied', sizeBytes: 1, sha256: createHash('sha256').update('x').digest('hex'), ctimeNs: '1', inode: '1', readAt: '', ...extra,
});

const forge = (change: (entries: SnapshotEntry[]) => readonly unknown[]): void => forgeMetadata(path('repository'), snapshot, change);

const inOrder = (entries: readonly unknown[]): unknown[] => (entries as SnapshotEntry[]).map((entry) => [orderKey(fromJsonPath(entry.path)), entry] as const).sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);

const named = (name: string) => (entry: SnapshotEntry): boolean => entry.path === source(name);

describe('metadata that would lead elsewhere is refused before anything is written', () => {
  const forgeries: Record<string, (entries: SnapshotEntry[]) => readonly unknown[]> = {
    'a path with ".." at its end': (entries) => inOrder([...entries, file('/zz/..')]),
    'a path with ".." inside': (entries) => inOrder([...entries, file('/zz/../../outside/planted')]),
    'a path with "."': (entries) => inOrder([...entries, file('/zz/./x')]),
    'a path with two slashes': (entries) => inOrder([...entries, file('/zz//x')]),
    'a path that is not absolute': (entries) => [file('outside/planted'), ...entries],
    'an empty path': (entries) => [file(''), ...entries],
    'a path with NUL': (entries) => inOrder([...entries, file('/zz\0x')]),
    'a path with NUL in base64': (entries) => [...entries, file({ base64: Buffer.from('/zz\0\xff', 'latin1').toString('base64') })],
    'a path that is a number': (entries) => [...entries, file(7)],
    'a path that is null': (entries) => [...entries, file(null)],
    'a line twice': (entries) => entries.flatMap((entry) => [entry, entry]),
    'lines out of order': (entries) => [...entries].reverse(),
    'entries below a symbolic link': (entries) => inOrder([...entries, file(`${source('link')}/planted`)]),
    'entries below a symbolic link to outside': (entries) => inOrder([...entries.map((entry) => (named('link')(entry) ? { ...entry, linkTarget: path('outside') } : entry)), file(`${source('link')}/secret`)]),
    'entries below a file': (entries) => inOrder([...entries, file(`${source('a')}/planted`)]),
    'a link target with NUL': (entries) => entries.map((entry) => (named('link')(entry) ? { ...entry, linkTarget: 'a\0b' } : entry)),
    'no link target': (entries) => entries.map((entry) => (named('link')(entry) ? { ...entry, linkTarget: undefined } : entry)),
    'a hard link to elsewhere': (entries) => entries.map((entry) => (named('b')(entry) ? { ...entry, hardLink: '/../../outside/secret' } : entry)),
    'an owner that is none': (entries) => entries.map((entry) => (named('a')(entry) ? { ...entry, uid: 4294967295 } : entry)),
    'a mode that is none': (entries) => entries.map((entry) => (named('a')(entry) ? { ...entry, mode: '10000' } : entry)),
    'a time that is none': (entries) => entries.map((entry) => (named('a')(entry) ? { ...entry, mtimeNs: '0x10' } : entry)),
    'a size that is none': (entries) => entries.map((entry) => (named('a')(entry) ? { ...entry, sizeBytes: -1 } : entry)),
    'a digest that is none': (entries) => entries.map((entry) => (named('a')(entry) ? { ...entry, sha256: '' } : entry)),
    'a type that is none': (entries) => entries.map((entry) => (named('a')(entry) ? { ...entry, type: 'door' } : entry)),
    'a line that is null': (entries) => [...entries, 'null'],
    'a line that is no JSON': (entries) => [...entries, '{'],
  };
  test.each(Object.keys(forgeries))('%s', (name) => {
    forge(forgeries[name] ?? ((entries) => entries));
    const before = fs.readdirSync(path('target'));
    expectOutsideUntouched(() => {
      const restore = new Restore(folder());
      restore.open();
      expect(codeOf(() => restore.plan())).toBe('SnapshotDamaged');
      expect(codeOf(() => restore.preview())).toBe('SnapshotDamaged');
    });
    expect(fs.readdirSync(path('target')).filter((each) => each !== '.file-backup')).toEqual(before);
  });
});

test.each([null, 'text', [7]])('sources that are none, as %j, are refused', (sources) => {
  forgeMetadata(path('repository'), snapshot, (entries) => entries, { sources } as never);
  expect(codeOf(() => new Restore(folder()).preview())).toBe('SnapshotDamaged');
});

test('a copy of another size is refused by that, before it is read', () => {
  fs.truncateSync(data('a'), 1_000_000);
  expect(new Restore(folder()).run().failureSample[0]?.message).toContain(`it has ${1_000_000} bytes, 12 were recorded`);
});

test('a hard link to a file that this restore did not make becomes a file of its own', () => {
  fs.mkdirSync(join(path('target'), 'etc'));
  fs.writeFileSync(join(path('target'), 'etc', 'shadow'), 'content of b');
  const stats = fs.statSync(join(path('target'), 'etc', 'shadow'), { bigint: true });
  forge((entries) => entries.map((entry) => (named('b')(entry) ? { ...entry, hardLink: '/etc/shadow', mtimeNs: String(stats.mtimeNs) } : entry)));
  expect(expectOutsideUntouched(() => new Restore(folder()).run())).toMatchObject({ failed: 0 });
  expect(fs.statSync(join(path('target'), 'etc', 'shadow')).nlink).toBe(1);
  expect(fs.readFileSync(restored('b'), 'utf8')).toBe('content of b');
});

test('a symbolic link in the snapshot is made, and nothing goes through it', () => {
  forge((entries) => entries.map((entry) => (named('link')(entry) ? { ...entry, linkTarget: path('outside') } : entry)));
  expect(expectOutsideUntouched(() => new Restore(folder()).run())).toMatchObject({ failed: 0 });
  expect(fs.readlinkSync(restored('link'))).toBe(path('outside'));
  // And a later snapshot that has a directory there does not follow it.
  fs.unlinkSync(source('link'));
  fs.mkdirSync(source('link'));
  fs.writeFileSync(source('link', 'secret'), 'planted');
  writeSnapshot(path('repository'), source(), { startedAt: new Date(Date.now() + 60_000) });
  const finished = expectOutsideUntouched(() => new Restore(folder()).run());
  expect(finished.failures.map(({ code, count }) => [code, count]).sort()).toEqual([['TargetInvalid', 1], ['TargetNotCanonical', 1]]);
});

test('entries for the place where a restore keeps its own files are skipped by name', () => {
  forge((entries) => inOrder([...entries, { ...entries[0], path: '/.file-backup' }, file('/.file-backup/x')]));
  const finished = new Restore(folder()).run();
  expect(finished).toMatchObject({ failed: 0, skippedByReason: { reserved: 2 } });
  expect(fs.readdirSync(path('target'))).not.toContain('.file-backup');
});

describe('data that is not what it should be fails what is below it, and nothing outside is read or touched', () => {
  const plants: Record<string, { readonly plant: () => void; readonly failed: readonly string[] }> = {
    'a directory that is a link to outside': { plant: () => (fs.rmSync(data('sub'), { recursive: true }), fs.symlinkSync(path('outside'), data('sub'))), failed: ['sub/c', 'sub/deep/d'] },
    'all data that is a link to the source': { plant: () => (fs.rmSync(join(path('repository'), snapshot, 'data'), { recursive: true }), fs.symlinkSync('/', join(path('repository'), snapshot, 'data'))), failed: ['a', 'b', 'sub/c', 'sub/deep/d'] },
    'a file that is a link to outside': { plant: () => (fs.unlinkSync(data('a')), fs.symlinkSync(path('outside', 'secret'), data('a'))), failed: ['a'] },
    'a file that is a FIFO': { plant: () => (fs.unlinkSync(data('a')), makeFifo(data('a'), 0o644)), failed: ['a'] },
    'a file that is a directory': { plant: () => (fs.unlinkSync(data('a')), fs.mkdirSync(data('a'))), failed: ['a'] },
    'a file that is missing': { plant: () => fs.unlinkSync(data('a')), failed: ['a'] },
    'a directory that is missing': { plant: () => fs.rmSync(data('sub'), { recursive: true }), failed: ['sub/c', 'sub/deep/d'] },
    'a file that is longer': { plant: () => fs.appendFileSync(data('a'), 'x'), failed: ['a'] },
    'a file that is shorter': { plant: () => fs.truncateSync(data('a'), 3), failed: ['a'] },
    'a file with a flipped bit': { plant: () => damage(data('sub', 'c'), 2), failed: ['sub/c'] },
  };
  test.each(Object.keys(plants))('%s', (name) => {
    const { plant, failed } = plants[name] ?? { plant: () => undefined, failed: [] };
    fs.mkdirSync(restored('sub'), { recursive: true });
    for (const each of failed.slice(0, 1)) fs.writeFileSync(restored(each), 'previous content', { mode: 0o604 });
    plant();
    const finished = expectOutsideUntouched(() => new Restore(folder()).run());
    expect(finished).toMatchObject({ failed: failed.length, failures: [{ code: 'SnapshotDamaged', side: 'source', count: failed.length }] });
    expect(finished.failureSample.map(({ path: at }) => at)).toEqual(failed.map((each) => source(each)));
    expect(fs.readFileSync(restored(failed[0] ?? ''), 'utf8')).toBe('previous content');
    const others = ['a', 'b', 'sub/c', 'sub/deep/d'].filter((each) => !failed.includes(each));
    expect(others.map((each) => fs.readFileSync(restored(each), 'utf8'))).toEqual(others.map((each) => `content of ${each}`));
    expect(failed.slice(1).filter((each) => fs.existsSync(restored(each)))).toEqual([]);
    expect(fs.readdirSync(path('target'))).toEqual([folder().split('/')[1]]);
  });
});

test('a snapshot directory that is a link to elsewhere is refused', () => {
  fs.renameSync(join(path('repository'), snapshot), path('outside', snapshot));
  fs.symlinkSync(path('outside', snapshot), join(path('repository'), snapshot));
  const restore = new Restore(folder());
  restore.open();
  expect(codeOf(() => expectOutsideUntouched(() => restore.plan()))).toBe('SourceNotCanonical');
});

test('a repository that goes away while it is restored from says so, and not that it is damaged', () => {
  const restore = new Restore(folder());
  restore.open();
  restore.plan();
  fs.renameSync(path('repository'), path('away'));
  fs.mkdirSync(path('repository'));
  expect(restore.chunk().failed.map(({ failure }) => failure.code)).toEqual(Array(4).fill('DestinationGone'));
});

test('a target inside the repository is refused', () => {
  const restore = new Restore(folder(), { target: join(path('repository'), 'target') });
  fs.mkdirSync(join(path('repository'), 'target'));
  expect(() => restore.open()).toThrow('lies inside the repository');
  expect(() => restore.preview()).toThrow('lies inside the repository');
});

test('the snapshot\'s own copy is never replaced by itself', () => {
  fs.mkdirSync(restored(), { recursive: true });
  fs.linkSync(data('a'), restored('a'));
  fs.chmodSync(data('a'), 0o600);
  const finished = expectOutsideUntouched(() => new Restore(folder()).run());
  expect(finished.failures).toMatchObject([{ code: 'SameFile', count: 1 }]);
});

test('an owner that the system has not is recorded as it is', () => {
  forge((entries) => entries.map((entry) => (named('a')(entry) ? { ...entry, uid: 4294967294, gid: 4294967294 } : entry) as FileEntry));
  expect(new Restore(folder()).run()).toMatchObject({ failed: 0 });
});
