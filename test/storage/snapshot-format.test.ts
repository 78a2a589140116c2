import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { openSnapshot } from '../../src/storage/snapshot/metadata';
import { initRepository, readRepository } from '../../src/storage/snapshot/repository';
import { findSnapshot, listSnapshots } from '../../src/storage/snapshot/snapshot-record';
import { pathText } from '../../src/storage/path-bytes';
import { damage, useFolder } from '../helpers/files';
import { writeSnapshot } from '../helpers/snapshot-fixture';

const folder = useFolder();
const repository = (): string => join(folder(), 'repository');
const source = (...names: string[]): string => join(folder(), 'source', ...names);

beforeEach(() => {
  initRepository(repository());
  fs.mkdirSync(source('sub'), { recursive: true });
  fs.writeFileSync(source('a'), 'a');
  fs.writeFileSync(source('sub', 'line\nbreak \\ and'), 'b');
  fs.writeFileSync(Buffer.concat([Buffer.from(source('sub')), Buffer.from('/\xff\xfe', 'latin1')]), 'not UTF-8');
  fs.symlinkSync('a', source('link'));
});

test('a repository is made in an empty directory only, and found again', () => {
  expect(readRepository(repository())).toMatchObject({ formatVersion: 1 });
  expect(() => initRepository(repository())).toThrow('is a repository already');
  expect(() => initRepository(source())).toThrow('holds something already (a, link, sub)');
  expect(() => readRepository(source())).toThrow('There is no repository in');
});

test('a snapshot is read back in its order, with names that are no text', () => {
  const name = writeSnapshot(repository(), source());
  const entries = [...openSnapshot(repository(), name).entries()].map(({ path, entry }) => [pathText(path).replace(folder(), ''), entry.type]);
  expect(entries.slice(-6)).toEqual([
    ['/source', 'directory'],
    ['/source/a', 'file'],
    ['/source/link', 'symlink'],
    ['/source/sub', 'directory'],
    ['/source/sub/line\nbreak \\ and', 'file'],
    ['/source/sub/\\xff\\xfe', 'file'],
  ]);
});

test('sha256sum agrees with the list, odd names included', () => {
  const name = writeSnapshot(repository(), source());
  expect(execFileSync('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd: join(repository(), name), encoding: 'utf8' })).toBe('');
});

test('snapshots are found by latest, name and id, and nothing is guessed', () => {
  const first = writeSnapshot(repository(), source(), { startedAt: new Date('2026-01-01T00:00:00Z') });
  const second = writeSnapshot(repository(), source(), { startedAt: new Date('2026-01-02T00:00:00Z'), parent: first });
  expect(['latest', second, second.slice(-8), first.slice(0, 10)].map((wanted) => findSnapshot(repository(), wanted))).toEqual([second, second, second, first]);
  expect(() => findSnapshot(repository(), '2026')).toThrow('means 2 of them');
  expect(() => findSnapshot(repository(), 'x')).toThrow('none is called "x"');
});

test.each(['snapshot.json', 'metadata.ndjson'])('a flipped byte in %s shows before anything is taken from it', (file) => {
  const name = writeSnapshot(repository(), source());
  damage(join(repository(), name, file), 40);
  expect(() => openSnapshot(repository(), name)).toThrow('is damaged');
  if (file === 'snapshot.json') expect(listSnapshots(repository())).toMatchObject([{ name, record: undefined, problem: expect.stringContaining('damaged') as string }]);
});
