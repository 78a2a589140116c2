import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFifo } from '../../../src/storage/posix';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { acceptAnyDestination } from '../../../src/storage/trust';
import { exactTree } from '../../helpers/exact-tree';
import { isRoot, useFolder, withoutRights } from '../../helpers/files';
import { writeSnapshot } from '../../helpers/snapshot-fixture';
import { codeOf } from '../operation';
import { forgeMetadata, Restore } from './restore';

const ALICE = 12_345;
const NOBODY = 65_534;
const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const source = (...names: string[]): string => path('source', ...names);
const restored = (...names: string[]): string => join(path('target'), source(...names));
const rights = (name: string): string => {
  const { uid, gid, mode } = fs.lstatSync(restored(name));
  return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
};
const all = (): Record<string, string> => Object.fromEntries(['plain', 'program', 'directory', 'directory/inside', 'link', 'fifo'].map((name) => [name, rights(name)]));
let snapshot = '';

/** Only root can give files away, and so make a tree of somebody else. */
const asRoot = isRoot ? test : test.skip;

beforeEach(() => {
  if (!isRoot) return;
  fs.mkdirSync(source('directory'), { recursive: true });
  for (const name of ['plain', 'program', 'directory/inside', 'own']) fs.writeFileSync(source(name), name, { mode: 0o644 });
  fs.symlinkSync('plain', source('link'));
  makeFifo(source('fifo'), 0o640);
  for (const name of ['plain', 'program', 'directory', 'directory/inside', 'link', 'fifo']) fs.lchownSync(source(name), ALICE, ALICE);
  fs.chmodSync(source('program'), 0o6755);
  fs.chmodSync(source('directory'), 0o3775);
  fs.chmodSync(source('fifo'), 0o640);
  initRepository(path('repository'));
  snapshot = writeSnapshot(path('repository'), source());
});

asRoot('without the option nothing belongs to another user, and no bit gives rights', () => {
  const finished = new Restore(folder()).run();
  expect(finished).toMatchObject({ failed: 0, skipped: 0 });
  expect(all()).toEqual({ plain: '0:0 644', program: '0:0 755', directory: '0:0 755', 'directory/inside': '0:0 644', link: '0:0 777', fifo: '0:0 640' });
});

asRoot('with the option everything comes back as it was', () => {
  expect(new Restore(folder(), { withOwners: true }).run()).toMatchObject({ failed: 0, skipped: 0 });
  expect(exactTree(restored())).toEqual(exactTree(source()));
});

asRoot('what is left out is counted, by a preview as well', () => {
  const restore = new Restore(folder());
  restore.open();
  // All but the source itself and the file that is of root.
  expect(restore.plan().rightsLeftOut).toBe(6);
  expect(restore.preview().filter(([, , , isLeftOut]) => isLeftOut)).toHaveLength(6);
  const complete = new Restore(folder(), { withOwners: true });
  complete.open();
  expect(complete.plan().rightsLeftOut).toBe(0);
  expect(complete.preview().filter(([, , , isLeftOut]) => isLeftOut)).toEqual([]);
});

asRoot('set-user-id bits of the user\'s own files are left out too', () => {
  fs.chownSync(source('program'), 0, 0);
  fs.chmodSync(source('program'), 0o4755);
  writeSnapshot(path('repository'), source(), { startedAt: new Date(Date.now() + 60_000) });
  const restore = new Restore(folder(), { paths: [source('program')] });
  restore.run();
  expect([rights('program'), restore.preview().map(([, , , isLeftOut]) => isLeftOut)]).toEqual(['0:0 755', [true]]);
});

asRoot('what is there as recorded stays so, also when the option is not given the second time', () => {
  new Restore(folder(), { withOwners: true }).run();
  const before = exactTree(path('target'));
  const inode = fs.statSync(restored('program')).ino;
  const finished = new Restore(folder()).run();
  expect(finished).toMatchObject({ restored: 0, failed: 0 });
  expect(finished.unchanged).toBe(finished.entries);
  expect([exactTree(path('target')), fs.statSync(restored('program')).ino]).toEqual([before, inode]);
});

asRoot('what was restored without the option is as it should be the second time', () => {
  new Restore(folder()).run();
  const finished = new Restore(folder()).run();
  expect(finished).toMatchObject({ restored: 0, failed: 0 });
  expect(finished.unchanged).toBe(finished.entries);
});

asRoot('the option puts right what was restored without it', () => {
  new Restore(folder()).run();
  expect(new Restore(folder(), { withOwners: true }).run()).toMatchObject({ failed: 0, unchanged: 1 });
  expect(exactTree(restored())).toEqual(exactTree(source()));
});

asRoot('a directory that exists keeps its owner and the bits that are on record, and gets no new ones', () => {
  fs.mkdirSync(restored('directory'), { recursive: true });
  fs.chownSync(restored('directory'), ALICE, ALICE);
  fs.chmodSync(restored('directory'), 0o2700);
  new Restore(folder()).run();
  expect(rights('directory')).toBe(`${ALICE}:${ALICE} 2755`);
});

asRoot('a set-user-id bit that is not on record goes, in a file that is there', () => {
  new Restore(folder()).run();
  fs.chmodSync(restored('own'), 0o4644);
  new Restore(folder()).run();
  expect(rights('own')).toBe('0:0 644');
});

asRoot('a new directory in one that hands its group down does not keep that bit', () => {
  fs.mkdirSync(dirname(restored()), { recursive: true });
  fs.chmodSync(dirname(restored()), 0o2755);
  fs.chmodSync(source('directory'), 0o755);
  writeSnapshot(path('repository'), source(), { startedAt: new Date(Date.now() + 60_000) });
  new Restore(folder()).run();
  expect(rights('directory')).toMatch(/ 755$/);
});

describe('a repository that somebody else can write gives nobody rights', () => {
  afterEach(() => acceptAnyDestination(false));

  const metadata = (): string => path('repository', snapshot, 'metadata.ndjson');
  const cases: Record<string, () => void> = {
    'the repository of another user': () => fs.chownSync(path('repository'), NOBODY, NOBODY),
    'a repository that everybody may write to': () => fs.chmodSync(path('repository'), 0o777),
    'a repository that a group may write to': () => fs.chmodSync(path('repository'), 0o770),
    'a snapshot of another user': () => fs.chownSync(path('repository', snapshot), NOBODY, NOBODY),
    'metadata of another user': () => fs.chownSync(metadata(), NOBODY, NOBODY),
    'metadata that others may write to': () => fs.chmodSync(metadata(), 0o606),
    'a record of another user': () => fs.chownSync(path('repository', snapshot, 'snapshot.json'), NOBODY, NOBODY),
    'a repository below a directory of another user': () => fs.chownSync(folder(), NOBODY, NOBODY),
  };
  (isRoot ? test.each(Object.keys(cases)) : test.skip.each(Object.keys(cases)))('%s', (name) => {
    cases[name]?.();
    // What is restored to lies below the same directory, and is not what this is about.
    acceptAnyDestination(true);
    const restore = new Restore(folder(), { withOwners: true });
    restore.open();
    expect([codeOf(() => restore.plan()), codeOf(() => restore.preview())]).toEqual(['RepositoryNotTrusted', 'RepositoryNotTrusted']);
    expect(() => restore.plan()).toThrow(/has owner and mode \d+:\d+ \d{4}$/);
    expect(fs.readdirSync(path('target'))).toEqual(['.file-backup']);
    // And without owners it serves as before.
    expect(new Restore(folder()).run()).toMatchObject({ failed: 0 });
    expect(rights('program')).toBe('0:0 755');
  });

  asRoot('one that another user forges makes no set-user-id program of root', () => {
    fs.chownSync(path('repository'), NOBODY, NOBODY);
    forgeMetadata(path('repository'), snapshot, (entries) => entries.map((entry) => ({ ...entry, uid: 0, gid: 0, mode: '6777' })));
    new Restore(folder()).run();
    expect(rights('program')).toBe('0:0 777');
    expect(rights('directory')).toBe('0:0 777');
  });
});

asRoot('a repository in a sticky directory that is the user\'s own is trusted', () => {
  fs.chmodSync(folder(), 0o1777);
  expect(new Restore(folder(), { withOwners: true }).run()).toMatchObject({ failed: 0 });
  expect(rights('program')).toBe(`${ALICE}:${ALICE} 6755`);
});

asRoot('a user who may not give files away restores what he may from a repository of root', () => {
  const open = (directory: string): void => {
    for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) if (entry.isFile() || entry.isDirectory()) fs.chmodSync(join(entry.parentPath, entry.name), entry.isFile() ? 0o644 : 0o755);
    fs.chmodSync(directory, 0o755);
  };
  open(path('repository'));
  fs.chmodSync(folder(), 0o755);
  fs.mkdirSync(path('own'));
  fs.chownSync(path('own'), NOBODY, NOBODY);
  const finished = withoutRights(() => new Restore(folder(), { target: path('own'), withOwners: true }).run());
  expect(finished).toMatchObject({ failed: 0 });
  const { uid, mode } = fs.statSync(join(path('own'), source('program')));
  expect([uid, (mode & 0o7777).toString(8)]).toEqual([NOBODY, '755']);
});
