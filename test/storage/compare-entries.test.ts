import fc from 'fast-check';
import { fromJsonPath, type JsonPath } from '../../src/storage/path-bytes';
import { compareEntries } from '../../src/storage/snapshot/compare-entries';
import { countDifference, noDifferences } from '../../src/storage/snapshot/difference-counts';
import type { FileEntry, SnapshotEntry } from '../../src/storage/snapshot/entry';
import { orderKey } from '../../src/storage/snapshot/entry-order';
import type { ReadEntry } from '../../src/storage/snapshot/metadata';
import { failed } from '../helpers/edit-snapshot';

const attributes = { path: '/a', mode: '0644', uid: 1, gid: 1, mtimeNs: '1' } as const;
const file: FileEntry = { ...attributes, type: 'file', state: 'copied', sizeBytes: 5, sha256: 'aa', ctimeNs: '1', inode: '1', readAt: '' };
const directory: SnapshotEntry = { ...attributes, type: 'directory', state: 'recorded' };
const link = (linkTarget: JsonPath): SnapshotEntry => ({ ...attributes, type: 'symlink', state: 'recorded', linkTarget });
const device = (deviceNumber: string): SnapshotEntry => ({ ...attributes, type: 'blockDevice', state: 'recorded', deviceNumber });

function read(entry: SnapshotEntry): ReadEntry {
  const path = fromJsonPath(entry.path);
  return { path, key: orderKey(path), offset: 0, entry };
}

const changes = (before: SnapshotEntry[], after: SnapshotEntry[]): string[] => [...compareEntries(before.map(read), after.map(read))].map(({ path, change }) => `${change} ${String(path)}`);

test.each<[string, SnapshotEntry, SnapshotEntry, string[]]>([
  ['a file that was read again', file, { ...file, state: 'unchanged', readAt: 'later', inode: '2', ctimeNs: '2' }, []],
  ['other bytes', file, { ...file, sha256: 'bb', mtimeNs: '2' }, ['content /a']],
  ['another time', file, { ...file, mtimeNs: '2' }, ['metadata /a']],
  ['another mode', file, { ...file, mode: '0600' }, ['metadata /a']],
  ['another user', file, { ...file, uid: 2 }, ['metadata /a']],
  ['another group', directory, { ...directory, gid: 2 }, ['metadata /a']],
  ['another type', file, directory, ['type /a']],
  ['the same target of a link', link({ base64: '/w==' }), link({ base64: '/w==' }), []],
  ['another target of a link', link('x'), link('y'), ['content /a']],
  ['another device', device('8:1'), device('8:2'), ['content /a']],
  ['failed in the first', failed(file), file, ['unknown /a']],
  ['failed in the second', file, failed(file), ['unknown /a']],
  ['failed in both', failed(file), failed(file), ['unknown /a']],
])('two entries are compared: %s', (_what, before, after, expected) => {
  expect(changes([before], [after])).toEqual(expected);
});

test('the differences of two lists are those of two maps, whatever is in them', () => {
  const names = fc.uniqueArray(fc.stringMatching(/^\/[a-c/. é-]{0,5}$/), { maxLength: 12 });
  const list = (paths: string[], sha256: string): ReadEntry[] => paths.map((path) => read({ ...file, path, sha256 })).sort((a, b) => (a.key < b.key ? -1 : 1));
  const property = fc.property(names, names, names, (before, after, same) => {
    // Of two entries with one path the later one would be lost.
    const lefts = list([...new Set([...before, ...same])], 'aa');
    const rights = list([...new Set([...after, ...same])], 'bb');
    const found = [...compareEntries(lefts, rights)];
    const [left, right] = [new Set(lefts.map(({ path }) => path)), new Set(rights.map(({ path }) => path))];
    const expected = [...new Set([...left, ...right])].map((path) => `${!left.has(path) ? 'added' : !right.has(path) ? 'removed' : 'content'} ${String(path)}`);
    expect(found.map(({ change, path }) => `${change} ${String(path)}`).sort()).toEqual(expected.sort());
    const keys = found.map(({ path }) => orderKey(path));
    expect(keys).toEqual([...keys].sort((a, b) => (a < b ? -1 : 1)));
  });
  fc.assert(property, { seed: 20_261_124, numRuns: 500 });
});

test('whoever stops comparing leaves no list open', () => {
  let open = 0;
  const entries = function* (): Generator<ReadEntry> {
    open += 1;
    try {
      for (const path of ['/a', '/b', '/c']) yield read({ ...file, path, sha256: String(open) });
    } finally {
      open -= 1;
    }
  };
  const [first] = compareEntries(entries(), entries());
  expect(first).toMatchObject({ path: '/a' });
  expect(open).toBe(0);
});

test('differences are counted by kind, with the bytes of either side', () => {
  const pairs: [SnapshotEntry | undefined, SnapshotEntry | undefined][] = [
    [undefined, file],
    [file, undefined],
    [file, { ...file, sha256: 'bb', sizeBytes: 7 }],
    [file, { ...file, mtimeNs: '2' }],
    [directory, undefined],
    [file, link('x')],
    [file, failed(file)],
  ];
  const differences = pairs.flatMap(([before, after]) => [...compareEntries(before ? [read(before)] : [], after ? [read(after)] : [])]);
  expect(differences.reduce(countDifference, noDifferences)).toEqual({
    files: { added: 1, removed: 1, changed: 1 },
    directories: { added: 0, removed: 1, changed: 0 },
    others: { added: 0, removed: 0, changed: 1 },
    metadataOnly: 1,
    unknown: 1,
    addedBytes: 5 + 7,
    removedBytes: 5 + 5 + 5,
  });
});
