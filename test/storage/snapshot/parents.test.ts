import * as fs from 'node:fs';
import { join } from 'node:path';
import { previewSnapshot } from '../../../src/storage/snapshot/preview-snapshot';
import { initRepository } from '../../../src/storage/snapshot/repository';
import type { SnapshotRecord } from '../../../src/storage/snapshot/snapshot-record';
import { TransferControl } from '../../../src/storage/control';
import { check } from '../../helpers/check';
import { memoryFolder, useFolder } from '../../helpers/files';
import { errnoError, withPatched } from '../patched-fs';
import { SnapshotRun, type SnapshotRunOptions } from './snapshot-run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder(memoryFolder);
const repository = (): string => join(folder(), 'repository');
const source = (...names: string[]): string => join(folder(), 'source', ...names);
const run = (sources: readonly string[], options: SnapshotRunOptions = {}): SnapshotRun => new SnapshotRun(folder(), repository(), sources.map((name) => source(name)), options);
const take = (sources: readonly string[], options?: SnapshotRunOptions): SnapshotRecord => run(sources, options).take();
const inode = ({ name }: { readonly name: string }, file: string): number => fs.statSync(join(repository(), name, 'data', source(file))).ino;

/** Three directories of a file each, written long ago. */
beforeEach(() => {
  initRepository(repository());
  for (const name of ['one', 'three', 'two']) {
    fs.mkdirSync(source(name), { recursive: true });
    fs.writeFileSync(source(name, 'file'), `of ${name}`);
  }
  settle();
});

/** Waits until what was written before counts as settled: the clock of the file system has moved on by so much. */
function settle(): void {
  const end = Date.now() + 120;
  while (Date.now() < end) fs.statSync(folder());
}

describe('files are known from the snapshots before, source by source', () => {
  test.each([
    ['a source was added', ['one', 'two'], ['one', 'three', 'two'], 2, 1],
    ['a source was removed', ['one', 'two'], ['two'], 1, 0],
    ['a source was replaced by another', ['one', 'two'], ['three', 'two'], 1, 1],
    ['a directory above is the source now', ['one', 'two'], [''], 2, 1],
    ['a directory below is the source now', [''], ['two'], 1, 0],
    ['sources of several snapshots are sources of one', ['three'], ['one', 'three'], 1, 1],
  ])('where %s', (_what, before, after, unchangedFiles, newFiles) => {
    const first = take(before);
    expect(take(after)).toMatchObject({ parent: first.name, counts: { unchangedFiles, newFiles, changedFiles: 0 } });
  });

  test('each from the newest that has it, though no two have the same sources', async () => {
    const all = take(['one', 'three', 'two']);
    fs.writeFileSync(source('two', 'file'), 'other content');
    settle();
    const two = take(['two']);
    const last = take(['one', 'three', 'two']);
    expect(last).toMatchObject({ parent: all.name, counts: { unchangedFiles: 3, copiedBytes: 0 } });
    expect([inode(last, 'one/file'), inode(last, 'two/file')]).toEqual([inode(all, 'one/file'), inode(two, 'two/file')]);
    expect((await check(repository())).problems).toEqual([]);
  });

  test('where the host was renamed; of another host only as long as this one has none', () => {
    const old = take(['one'], { host: 'old name' });
    const first = take(['one'], { host: 'new name' });
    expect(first).toMatchObject({ host: 'new name', parent: old.name, counts: { unchangedFiles: 1 } });
    take(['one'], { host: 'old name' });
    expect(take(['one'], { host: 'new name' })).toMatchObject({ parent: first.name });
  });

  test('where the newest is damaged, or is no snapshot any more', () => {
    const first = take(['one', 'two']);
    const second = take(['one', 'two']);
    fs.appendFileSync(join(repository(), second.name, 'metadata.ndjson'), 'x');
    expect(take(['one', 'two'])).toMatchObject({ parent: first.name, counts: { unchangedFiles: 2 } });
  });

  test('in a preview as in the snapshot', () => {
    const first = take(['one', 'two']);
    const request = { repository: repository(), host: 'test-host', sources: ['one', 'three'].map((name) => ({ path: source(name), root: folder() })), excludes: { patterns: [], caches: false, maxSizeBytes: null }, oneFileSystem: false, leaveOut: [], rehash: false, parent: 'auto', allowMissing: false, allowEmpty: false };
    expect(previewSnapshot(request, () => undefined, new TransferControl())).toMatchObject({ parent: first.name, unchangedFiles: 1, newFiles: 1 });
  });
});

describe('what the newest snapshot has nothing of is known from an older one', () => {
  /** A file that could not be opened, or a directory that could not be read, whoever tries. */
  function withUnreadable(name: string, calls: () => void): void {
    const isOf = (path: unknown): boolean => String(path).endsWith(`/${name}`);
    withPatched('openSync', ([path], proceed) => {
      if (isOf(path) && !String(path).includes('repository')) throw errnoError('EACCES', 13);
      return proceed();
    }, calls);
  }

  test.each([
    ['a directory that could not be read for one night', 1, 'two'],
    ['a directory that could not be read for two nights', 2, 'two'],
  ])('%s', (_what, nights, name) => {
    const first = take(['one', 'two']);
    for (let night = 0; night < nights; night += 1) withUnreadable(name, () => expect(run(['one', 'two']).take().status).toBe('partial'));
    const last = take(['one', 'two']);
    expect(last).toMatchObject({ status: 'complete', counts: { unchangedFiles: 2, copiedBytes: 0 } });
    expect(inode(last, 'two/file')).toBe(inode(first, 'two/file'));
  });

  test('what was mounted elsewhere for one night, so that nothing was there to fail', () => {
    fs.mkdirSync(source('mounts'));
    fs.renameSync(source('two'), source('mounts', 'two'));
    const first = take(['mounts']);
    fs.renameSync(source('mounts', 'two'), join(folder(), 'away'));
    fs.mkdirSync(source('mounts', 'two'));
    take(['mounts']);
    fs.rmdirSync(source('mounts', 'two'));
    fs.renameSync(join(folder(), 'away'), source('mounts', 'two'));
    const last = take(['mounts']);
    expect(last).toMatchObject({ counts: { unchangedFiles: 1, copiedBytes: 0 } });
    expect(inode(last, 'mounts/two/file')).toBe(inode(first, 'mounts/two/file'));
  });

  test('what was closed by a change of its mode and opened again is read, and linked where it is the same', () => {
    const first = take(['one', 'two']);
    fs.chmodSync(source('two', 'file'), 0);
    withUnreadable('file', () => run(['one', 'two']).take());
    fs.chmodSync(source('two', 'file'), 0o644);
    const last = take(['one', 'two']);
    expect(last).toMatchObject({ counts: { unchangedFiles: 2, copiedBytes: 0 } });
    expect(inode(last, 'two/file')).toBe(inode(first, 'two/file'));
  });

  test('but for what is new since the newest no older one is read', () => {
    const first = take(['one', 'two']);
    take(['one', 'two']);
    settle();
    fs.writeFileSync(source('one', 'another'), 'new');
    const opened: string[] = [];
    // Entries are named by way of open directories: which one it is shows their link.
    withPatched('openSync', ([path], proceed) => {
      const real = String(path).endsWith('/metadata.ndjson') ? fs.realpathSync(String(path).replace('/metadata.ndjson', '')) : '';
      if (real !== '') opened.push(real);
      return proceed();
    }, () => run(['one', 'two']).plan());
    expect(opened).not.toEqual([]);
    expect(opened).not.toContain(join(repository(), first.name));
  });
});

describe('what has another path by now is known by its inode', () => {
  test.each([
    ['a source that was renamed', ['one', 'two'], () => fs.renameSync(source('two'), source('zwei')), ['one', 'zwei']],
    ['a directory that was moved within a source', [''], () => fs.renameSync(source('two'), source('one', 'two')), ['']],
    ['the directory above all sources, renamed', ['one', 'two'], () => fs.renameSync(source(), join(folder(), 'elsewhere')), ['../elsewhere/one', '../elsewhere/two']],
  ])('%s', async (_what, before, move, after) => {
    const first = take(before);
    const files = first.counts.files;
    move();
    settle();
    const last = take(after);
    expect(last).toMatchObject({ parent: first.name, counts: { files, unchangedFiles: files, newFiles: 0, copiedBytes: 0 } });
    expect((await check(repository())).problems).toEqual([]);
  });

  test('but not what was replaced, or written to, on the way', () => {
    take(['two']);
    fs.renameSync(source('two'), source('zwei'));
    fs.writeFileSync(source('zwei', 'file'), 'of zwo');
    fs.writeFileSync(source('zwei', 'another'), 'of two');
    settle();
    const last = take(['zwei']);
    expect(last).toMatchObject({ counts: { unchangedFiles: 0, newFiles: 2 } });
    expect(fs.readFileSync(join(repository(), last.name, 'data', source('zwei', 'file')), 'utf8')).toBe('of zwo');
  });

  test('many of them, in any order, each as it was', () => {
    fs.mkdirSync(source('many'));
    for (let index = 0; index < 500; index += 1) fs.writeFileSync(source('many', `${index}`), `content ${index}`);
    settle();
    const first = take(['many']);
    // Hard links change the time of change, directories that are moved do not.
    fs.renameSync(source('many'), source('more'));
    fs.unlinkSync(source('more', '100'));
    settle();
    const last = take(['more']);
    expect(last).toMatchObject({ counts: { files: 499, unchangedFiles: 499 } });
    for (const index of ['0', '99', '101', '499']) {
      expect(fs.readFileSync(join(repository(), last.name, 'data', source('more', index)), 'utf8')).toBe(`content ${index}`);
      expect(inode(last, `more/${index}`)).toBe(inode(first, `many/${index}`));
    }
  });
});

describe('the parent that somebody names', () => {
  test('is the one, whatever its sources are, or none', () => {
    const first = take(['one']);
    take(['one']);
    expect(take(['one'], { parent: first.name })).toMatchObject({ parent: first.name, counts: { unchangedFiles: 1 } });
    expect(take(['one'], { parent: first.name.slice(-8) })).toMatchObject({ parent: first.name });
    expect(take(['one', 'two'], { parent: first.name })).toMatchObject({ counts: { unchangedFiles: 1, newFiles: 1 } });
    expect(take(['one'], { parent: 'none' })).toMatchObject({ parent: null, counts: { unchangedFiles: 0, newFiles: 1 } });
  });

  test('has to be there, and to be whole', () => {
    const first = take(['one']);
    expect(() => run(['one'], { parent: '2020' }).plan()).toThrow('none is called "2020"');
    fs.appendFileSync(join(repository(), first.name, 'metadata.ndjson'), 'x');
    expect(() => run(['one'], { parent: 'latest' }).plan()).toThrow('is damaged');
  });
});
