import * as fs from 'node:fs';
import { join } from 'node:path';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { fromJsonPath, pathText } from '../../../src/storage/path-bytes';
import { editEntries, failed } from '../../helpers/edit-snapshot';
import { useFolder } from '../../helpers/files';
import { writeSnapshot } from '../../helpers/snapshot-fixture';
import { Restore } from './restore';

const folder = useFolder();
const repository = (): string => join(folder(), 'repository');
const source = (...names: string[]): string => join(folder(), 'source', ...names);

/** A snapshot in which secrets could not be backed up, and one file stands for a socket. */
beforeEach(() => {
  initRepository(repository());
  fs.mkdirSync(source('sub'), { recursive: true });
  for (const name of ['file', 'secret', 'socket', 'sub/secret']) fs.writeFileSync(source(name), name);
  const name = writeSnapshot(repository(), source());
  editEntries(repository(), name, (entry) => {
    const path = pathText(fromJsonPath(entry.path));
    if (path.endsWith('/secret')) return failed(entry);
    if (entry.state === 'failed' || !path.endsWith('/socket')) return entry;
    return { path: entry.path, type: 'socket', state: 'recorded', mode: entry.mode, uid: entry.uid, gid: entry.gid, mtimeNs: entry.mtimeNs };
  });
});

const restore = (...names: string[]): Restore => new Restore(folder(), { paths: names.map((name) => source(name)) });

test('what could not be backed up and is asked for by its name is a failure', () => {
  const finished = restore('secret').run();
  expect(finished).toMatchObject({ failed: 1, skipped: 0, failures: [{ code: 'ENOENT', side: 'source', count: 1 }] });
  expect(finished.failureSample[0]?.message).toContain('was asked for and is not restored: it could not be backed up');
});

test('so is what no restore can make, and what is asked for beside it is restored', () => {
  expect(restore('socket', 'file').run()).toMatchObject({ failed: 1, skipped: 0 });
  expect(fs.readFileSync(join(folder(), 'target', source('file')), 'utf8')).toBe('file');
});

test('what only lies below a name is skipped by its own, as it is where everything is wanted', () => {
  expect(restore('sub').run()).toMatchObject({ failed: 0, skippedByReason: { notInSnapshot: 1 } });
  expect(new Restore(folder()).run()).toMatchObject({ failed: 0, skippedByReason: { notInSnapshot: 2, socket: 1 } });
});

test('the preview says so too', () => {
  expect(restore('secret').preview()).toContainEqual([source('secret'), 'file', 'conflict', false]);
});
