import * as fs from 'node:fs';
import { join } from 'node:path';
import { setEntryTimes } from '../../../src/storage/posix';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { check } from '../../helpers/check';
import { useFolder } from '../../helpers/files';
import { Restore } from '../restore/restore';
import { SnapshotRun } from './snapshot-run';

/** In memory: there is a file system that holds any time. */
const folder = useFolder(() => (fs.existsSync('/dev/shm') ? '/dev/shm' : '/tmp'));
const repository = (): string => join(folder(), 'repository');
const source = (...names: string[]): string => join(folder(), 'source', ...names);
const timeOf = (path: string): bigint => fs.lstatSync(path, { bigint: true }).mtimeNs;

test.each<[string, bigint]>([
  ['1969, to the nanosecond', -1n],
  ['1899', -2_208_988_801_999_999_999n],
  ['1601', -11_644_473_600_000_000_000n],
  ['2286', 10_000_000_000_000_000_000n],
  ['2300', 10_413_792_000_000_000_001n],
  ['300,000', 9_404_518_492_800_000_000_000n],
  ['64 bits of seconds', 9_223_372_036_854_775_807n * 1_000_000_000n + 999_999_999n],
  ['64 bits of seconds before 1970', -9_223_372_036_854_775_808n * 1_000_000_000n],
])('a date in the year %s is kept, checked and restored, of a file, a directory and a link', async (_year, timeNs) => {
  initRepository(repository());
  fs.mkdirSync(source('directory'), { recursive: true });
  fs.writeFileSync(source('file'), 'content');
  fs.symlinkSync('file', source('link'));
  for (const name of ['file', 'link', 'directory']) setEntryTimes(source(name), timeNs);
  // What the file system makes of it.
  const kept = timeOf(source('file'));
  const run = new SnapshotRun(folder(), repository(), [source()]);
  run.take();
  expect((await check(repository())).problems).toEqual([]);
  expect(new Restore(folder()).run()).toMatchObject({ failed: 0, skipped: 0 });
  for (const name of ['file', 'link', 'directory']) expect(timeOf(join(folder(), 'target', source(name)))).toBe(kept);
  fs.utimesSync(join(run.data, source('file')), 0, 0);
  expect((await check(repository())).problems).toMatchObject(kept === 0n ? [] : [{ kind: 'wrongMetadata' }]);
});
