import * as fs from 'node:fs';
import { join } from 'node:path';
import { failureTypeOf } from '../../../src/failures';
import type { SnapshotEntry } from '../../../src/storage/snapshot/entry';
import { pathText } from '../../../src/storage/path-bytes';
import { initRepository } from '../../../src/storage/snapshot/repository';
import type { SnapshotRecord } from '../../../src/storage/snapshot/snapshot-record';
import { check } from '../../helpers/check';
import { memoryFolder, useFolder } from '../../helpers/files';
import { errnoError, interceptFs } from '../patched-fs';
import { SnapshotRun, type SnapshotRunOptions } from './snapshot-run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder(memoryFolder);
const path = (...names: string[]): string => join(folder(), ...names);
const source = (...names: string[]): string => path('source', ...names);
const snapshot = (options?: SnapshotRunOptions, sources = [source()]): SnapshotRun => new SnapshotRun(folder(), path('repository'), sources, options);

beforeEach(() => initRepository(path('repository')));

function write(...names: string[]): void {
  for (const name of names) {
    fs.mkdirSync(join(source(name), '..'), { recursive: true });
    fs.writeFileSync(source(name), `content of ${name}`);
  }
}

/** Plans, lets something happen, and goes on to the end. */
function takeWith(meanwhile: () => void, run = snapshot()): SnapshotRecord {
  const { chunks } = run.plan();
  meanwhile();
  for (let chunk = 0; chunk < chunks; chunk += 1) run.chunk(run.attempt(chunk));
  return run.seal();
}

/** Takes a snapshot, and lets something happen once, before the first call that the walk makes for a purpose. */
function takeWhen(isMoment: (name: string, path: string) => boolean, happen: () => void, run = snapshot()): SnapshotRecord {
  let happened = false;
  const stop = interceptFs(({ name, args }, proceed) => {
    if (!happened && isMoment(name, String(args[0]))) {
      happened = true;
      happen();
    }
    return proceed();
  });
  try {
    return run.take();
  } finally {
    stop();
    expect(happened).toBe(true);
  }
}

/** Entries that failed, with the type of their failure. */
function failuresOf(run: SnapshotRun): Record<string, string> {
  const failed = [...run.open().entries()].flatMap(({ path: at, entry }) => (entry.state === 'failed' ? [[pathText(at).slice(source().length + 1), typeOf(entry)] as const] : []));
  return Object.fromEntries(failed);
}

function typeOf(entry: SnapshotEntry): string {
  return entry.state === 'failed' ? failureTypeOf(entry.failure.code, entry.failure.side) : '';
}

const namesBelow = (name: string): RegExp => new RegExp(`^/proc/self/fd/\\d+/${name}$`);

describe('a file that is gone when its turn comes', () => {
  beforeEach(() => write('a', 'd/x', 'd/y', 'z'));

  test('is harmless where its directory and its source are the ones that were walked', () => {
    expect(takeWith(() => fs.unlinkSync(source('d/x')))).toMatchObject({ status: 'complete', counts: { vanished: 1, failed: 0, files: 3 } });
  });

  test.each([
    ['its source was moved away', () => fs.renameSync(source(), path('elsewhere'))],
    ['an empty directory is in its source\'s place, as where a disk was mounted', () => (fs.renameSync(source(), path('elsewhere')), fs.mkdirSync(source()))],
    ['its source was removed and made again', () => (fs.rmSync(source(), { recursive: true }), fs.mkdirSync(source('d'), { recursive: true }))],
    ['what its source is in was moved away', () => (fs.renameSync(path('outer'), path('elsewhere')), fs.mkdirSync(path('outer')))],
  ])('has failed where %s, and so has every other one', async (_how, happen) => {
    fs.mkdirSync(path('outer'));
    fs.cpSync(source(), path('outer/source'), { recursive: true });
    const inner = path('outer/source');
    const run = snapshot({}, [source(), inner]);
    const record = takeWith(happen, run);
    expect(record).toMatchObject({ status: 'partial', counts: { vanished: 0, failed: 4, files: 4 } });
    expect(new Set(Object.values(failuresOf(run)))).toEqual(new Set(['SourceGone']));
    expect((await check(path('repository'))).problems).toEqual([]);
  });

  test.each([
    ['moved', () => fs.renameSync(source('d'), source('e'))],
    ['removed', () => fs.rmSync(source('d'), { recursive: true })],
    ['exchanged for another one', () => (fs.renameSync(source('d'), path('elsewhere')), fs.mkdirSync(source('d')))],
  ])('has failed where its directory was %s, and the others are taken', (_how, happen) => {
    const run = snapshot();
    expect(takeWith(happen, run)).toMatchObject({ status: 'partial', counts: { vanished: 0, failed: 2, files: 2 } });
    expect(failuresOf(run)).toEqual({ 'd/x': 'DirectoryGone', 'd/y': 'DirectoryGone' });
  });

  test('has failed where its directory is a link by now, and what that leads to is not read', () => {
    const run = snapshot();
    const swap = (): void => {
      fs.renameSync(source('d'), path('elsewhere'));
      fs.writeFileSync(path('elsewhere/x'), 'another content');
      fs.symlinkSync(path('elsewhere'), source('d'));
    };
    expect(takeWith(swap, run)).toMatchObject({ status: 'partial', counts: { failed: 2, files: 2 } });
    expect(failuresOf(run)).toEqual({ 'd/x': 'SourceNotCanonical', 'd/y': 'SourceNotCanonical' });
    expect(fs.readdirSync(join(run.data, source('d')))).toEqual([]);
  });

  test('has failed where it was named itself', () => {
    const run = snapshot({}, [source('a'), source('d')]);
    expect(takeWith(() => fs.unlinkSync(source('a')), run)).toMatchObject({ status: 'partial', counts: { vanished: 0, failed: 1, files: 2 } });
    expect(failuresOf(run)).toEqual({ a: 'SourceGone' });
  });

  test('has failed where a network file system says that it cannot tell', () => {
    for (const [code, errno] of [['ESTALE', 116], ['EIO', 5], ['ENOTCONN', 107]] as const) {
      const run = snapshot();
      run.plan();
      const stop = interceptFs(({ name, args }, proceed) => {
        if (name === 'lstatSync' && namesBelow('[axyz]').test(String(args[0]))) throw errnoError(code, errno);
        return proceed();
      });
      try {
        run.chunk();
      } finally {
        stop();
      }
      expect(run.seal()).toMatchObject({ status: 'partial', counts: { vanished: 0, failed: 4, files: 0 } });
      expect(new Set(Object.values(failuresOf(run)))).toEqual(new Set(['SourceReadError']));
    }
  });
});

describe('while the walk is under way', () => {
  beforeEach(() => write('a/x', 'm/x', 'm/y', 'z/x'));

  test('a file that goes away is no failure', () => {
    const run = snapshot();
    expect(takeWhen((name, at) => name === 'lstatSync' && namesBelow('x').test(at), () => fs.unlinkSync(source('m/y')), run)).toMatchObject({ status: 'complete', counts: { files: 3 } });
    const isListed = (name: string, at: string): boolean => name === 'lstatSync' && namesBelow('y').test(at);
    write('m/y');
    expect(takeWhen(isListed, () => fs.unlinkSync(source('m/y')))).toMatchObject({ status: 'complete', counts: { vanished: 1, failed: 0, files: 3 } });
  });

  test('a directory that is given a name which the walk has passed is a failure, since nothing of it is taken', () => {
    const run = snapshot();
    expect(takeWhen((name, at) => name === 'lstatSync' && namesBelow('m').test(at), () => fs.renameSync(source('z'), source('b')), run)).toMatchObject({ status: 'partial', counts: { failed: 1 } });
    expect(failuresOf(run)).toEqual({ z: 'DirectoryGone' });
  });

  test('a directory that another one takes the place of before it is opened is a failure', () => {
    const run = snapshot();
    const swap = (): void => (fs.renameSync(source('m'), path('elsewhere')), fs.mkdirSync(source('m')));
    expect(takeWhen((name, at) => name === 'openSync' && namesBelow('m').test(at), swap, run)).toMatchObject({ status: 'partial', counts: { failed: 1 } });
    expect(failuresOf(run)).toEqual({ m: 'DirectoryGone' });
  });

  test('a directory that a link takes the place of is a failure, and nothing outside is walked', () => {
    fs.mkdirSync(path('outside'));
    fs.writeFileSync(path('outside/secret'), 'secret');
    const run = snapshot();
    const swap = (): void => (fs.renameSync(source('m'), path('elsewhere')), fs.symlinkSync(path('outside'), source('m')));
    takeWhen((name, at) => name === 'openSync' && namesBelow('m').test(at), swap, run);
    expect(failuresOf(run)).toEqual({ m: 'SourceNotCanonical' });
    expect([...run.open().entries()].map(({ path: at }) => pathText(at)).filter((at) => at.includes('secret'))).toEqual([]);
  });

  test.each([['the source itself', ''], ['a directory in it', 'm']])('the source goes away, and what was listed with it: %s', (_what, name) => {
    const run = snapshot();
    takeWhen((call, at) => call === 'lstatSync' && namesBelow('y').test(at), () => (fs.renameSync(source(name), path('elsewhere')), fs.rmSync(path('elsewhere', name === '' ? 'm' : '', 'y'))), run);
    expect(failuresOf(run)).toMatchObject({ 'm/y': name === '' ? 'SourceGone' : 'DirectoryGone' });
  });
});

describe('a source of which too little is found', () => {
  const many = Array.from({ length: 50 }, (_, index) => `f${index}`);
  const remove = (names: readonly string[]): void => names.forEach((name) => fs.unlinkSync(source(name)));

  test.each([
    ['all of few', ['f0'], ['f0'], 'partial'],
    ['some of few', ['f0', 'f1'], ['f0'], 'complete'],
    ['most of many', many, many.slice(0, 30), 'partial'],
    ['some of many', many, many.slice(0, 15), 'complete'],
  ])('%s of its files go away while it is backed up', async (_title, files, gone, status) => {
    write(...files);
    const record = takeWith(() => remove(gone));
    expect(record).toMatchObject({ status, counts: { vanished: gone.length, failed: 0 } });
    expect(record.emptied).toEqual(status === 'complete' ? undefined : [{ path: source(), failure: { code: 'SourceEmptied', side: 'source', message: `Of ${files.length} files in ${source()}, ${gone.length} were gone when their turn came` } }]);
    expect((await check(path('repository'))).problems).toEqual([]);
  });

  test('that is empty where the snapshot before has files is partial, every night until somebody says that it is meant to be', () => {
    write('a', 'd/b');
    const first = snapshot();
    first.take();
    fs.renameSync(source(), path('elsewhere'));
    fs.mkdirSync(source('d'), { recursive: true });
    for (let night = 0; night < 2; night += 1) expect(snapshot().take()).toMatchObject({ status: 'partial', emptied: [{ path: source(), failure: { code: 'SourceEmptied' } }] });
    expect(snapshot({ allowEmpty: true }).take()).toMatchObject({ status: 'complete', counts: { files: 0 } });
    expect(snapshot().take().status).toBe('complete');
  });

  test('is told by the last snapshot that knows: one without the source, or one that it failed in, does not', () => {
    write('a');
    fs.mkdirSync(path('other'));
    fs.writeFileSync(path('other/b'), 'b');
    const both = [source(), path('other')];
    snapshot({}, both).take();
    fs.rmSync(source(), { recursive: true });
    snapshot({ allowMissing: true }, both).take();
    snapshot({}, [path('other')]).take();
    fs.mkdirSync(source());
    expect(snapshot({}, both).take()).toMatchObject({ status: 'partial', emptied: [{ path: source() }] });
  });

  test('is not one that was empty before, or whose files are left out on request', () => {
    write('a');
    snapshot().take();
    expect(snapshot({ excludes: { patterns: ['a'] } }).take()).toMatchObject({ status: 'complete', counts: { files: 0 } });
    fs.unlinkSync(source('a'));
    expect(snapshot().take().status).toBe('complete');
  });
});
