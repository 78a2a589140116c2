import * as fs from 'node:fs';
import { join } from 'node:path';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { snapshotNames } from '../../../src/storage/snapshot/snapshot-record';
import { memoryFolder, useFolder } from '../../helpers/files';
import { thrownBy } from '../operation';
import { SnapshotRun } from './snapshot-run';

const folder = useFolder(memoryFolder);
const repository = (): string => join(folder(), 'repository');
const source = (...names: string[]): string => join(folder(), 'source', ...names);
const snapshot = (): SnapshotRun => new SnapshotRun(folder(), repository(), [source()]);

/** More directories than are remembered at a time, one of them with names that are written otherwise than they are. */
const odd = Buffer.from('latin-\xe9', 'latin1');

beforeEach(() => {
  initRepository(repository());
  for (let index = 0; index < 20; index += 1) {
    fs.mkdirSync(source(`directory-${index}`, 'below'), { recursive: true });
    for (const name of ['below/first', 'second', 'third']) fs.writeFileSync(source(`directory-${index}`, name), `${name} of ${index}`);
  }
  fs.writeFileSync(source('quote "and\nline'), 'odd');
  fs.writeFileSync(Buffer.concat([Buffer.from(source('/')), odd]), 'not UTF-8');
});

/** Where a run has the copy of a source. */
function placeOf(run: SnapshotRun, ...names: string[]): string {
  return join(run.directory, 'snapshot', 'data', source(...names));
}

const plain = ['directory-7', 'below', 'first'];

test.each([
  ['a copy', false, plain],
  ['a link of what is unchanged', true, plain],
  ['a copy with an odd name', false, ['quote "and\nline']],
])('a snapshot from which %s was lost is not published', (_title, isSecond, names) => {
  if (isSecond) snapshot().take();
  const before = snapshotNames(repository());
  const run = snapshot();
  run.plan();
  run.chunk();
  fs.rmSync(placeOf(run, ...names));
  const { code, path, message } = thrownBy(() => run.seal());
  expect({ code, path }).toEqual({ code: 'RunAltered', path: placeOf(run, ...names) });
  expect(message).toContain('is missing');
  expect(snapshotNames(repository())).toEqual(before);
});

test('a snapshot that has lost a whole directory is not published, nor one that has lost a name that is no text', () => {
  const run = snapshot();
  run.plan();
  run.chunk();
  fs.rmSync(Buffer.concat([Buffer.from(placeOf(run, '/')), odd]));
  expect(thrownBy(() => run.seal()).message).toContain('latin-\\xe9 is not as the run wrote it: it is missing');
  const other = snapshot();
  other.plan();
  other.chunk();
  fs.rmSync(placeOf(other, 'directory-3'), { recursive: true });
  expect(thrownBy(() => other.seal()).path).toContain(placeOf(other, 'directory-3'));
  expect(snapshotNames(repository())).toEqual([]);
});

test('a snapshot in which files failed or were gone when their turn came is published without them', () => {
  const run = snapshot();
  run.plan();
  fs.rmSync(source('directory-1', 'second'));
  fs.rmSync(source('directory-2', 'second'));
  fs.symlinkSync('third', source('directory-2', 'second'));
  run.chunk();
  expect(run.seal()).toMatchObject({ status: 'partial', counts: { failed: 1, vanished: 1, files: 60 } });
});

test('a copy that finds no place is a trouble of the repository, named by that place', () => {
  const run = snapshot();
  run.plan();
  fs.rmSync(placeOf(run, 'directory-3'), { recursive: true });
  const { code, side, path, message } = thrownBy(() => run.chunk());
  expect({ code, side }).toEqual({ code: 'ENOENT', side: 'destination' });
  expect(path).toContain(placeOf(run, 'directory-3'));
  expect(message).toContain(run.directory);
});
