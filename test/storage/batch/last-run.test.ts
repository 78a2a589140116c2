import * as fs from 'node:fs';
import { join } from 'node:path';
import { LastRun } from '../../../src/storage/batch/last-run';
import { useFolder } from '../../helpers/files';
import { Run } from './run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const source = (name: string): string => join(folder(), 'source', name);

beforeEach(() => fs.mkdirSync(join(folder(), 'source')));

/** Backs files up, and answers what is known of them afterwards. */
function backUp(...names: string[]): { unchanged: number; backedUp: number } {
  const run = new Run(folder(), false);
  run.plan(names.map(source));
  const { counts } = run.run();
  run.seal();
  return { unchanged: counts.unchanged, backedUp: counts.backedUp };
}

function write(...names: string[]): void {
  for (const name of names) fs.writeFileSync(source(name), name);
}

test('lists that take turns in one directory know their files, whichever run wrote them', () => {
  write('a', 'b', 'c');
  for (const name of ['a', 'b', 'c']) expect(backUp(name)).toEqual({ unchanged: 0, backedUp: 1 });
  for (const name of ['a', 'b', 'c']) expect(backUp(name)).toEqual({ unchanged: 1, backedUp: 0 });
});

test('a list that was put together of others knows the files of all', () => {
  write('a', 'b', 'c', 'new');
  backUp('a', 'b');
  backUp('c');
  expect(backUp('a', 'b', 'c', 'new')).toEqual({ unchanged: 3, backedUp: 1 });
});

test('the newest word on a file counts', () => {
  write('a', 'b');
  backUp('a', 'b');
  fs.writeFileSync(source('a'), 'changed');
  backUp('a');
  backUp('b');
  expect(backUp('a')).toEqual({ unchanged: 1, backedUp: 0 });
});

test('a target that somebody else has replaced is not known, and one that is gone is not looked for in older runs', () => {
  write('a', 'b');
  backUp('a');
  backUp('b');
  fs.writeFileSync(join(folder(), 'backups', 'a.backup'), 'other');
  expect(backUp('a')).toEqual({ unchanged: 0, backedUp: 1 });
  const opened = jest.spyOn(fs, 'openSync');
  const known = LastRun.open({ root: folder(), destination: join(folder(), 'backups'), runId: '' });
  expect(known?.find('none.backup')).toBeUndefined();
  expect(opened).toHaveBeenCalledTimes(1);
  known?.close();
  opened.mockRestore();
});
