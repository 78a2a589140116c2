import * as fs from 'node:fs';
import { join } from 'node:path';
import { TransferControl } from '../../../src/storage/control';
import { pathText } from '../../../src/storage/path-bytes';
import { previewSnapshot } from '../../../src/storage/snapshot/preview-snapshot';
import { initRepository } from '../../../src/storage/snapshot/repository';
import type { SnapshotRecord } from '../../../src/storage/snapshot/snapshot-record';
import { check } from '../../helpers/check';
import { memoryFolder, useFolder } from '../../helpers/files';
import { interceptFs } from '../patched-fs';
import { SnapshotRun, type SnapshotRunOptions } from './snapshot-run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder(memoryFolder);
const source = (...names: string[]): string => join(folder(), 'source', ...names);
const repository = (): string => join(folder(), 'repository');

beforeEach(() => {
  initRepository(repository());
  for (const name of ['f', 'cache/x', 'cache/keep/k', 'cache/keep/cache/k', 'cache/keep.txt', 'disk/x', 'disk/keep/k', 'tagged/CACHEDIR.TAG', 'tagged/x', 'tagged/keep/k']) {
    fs.mkdirSync(join(source(name), '..'), { recursive: true });
    fs.writeFileSync(source(name), name === 'tagged/CACHEDIR.TAG' ? 'Signature: 8a477f597d28d172789f06886806bc55\n' : 'x'.repeat(50));
  }
});

/** Takes a snapshot, and looks whether a preview of it says the same. */
async function take(names: readonly string[], options: SnapshotRunOptions = {}): Promise<{ readonly record: SnapshotRecord; readonly files: string[]; readonly failed: string[] }> {
  const sources = names.map((name) => source(name));
  const run = new SnapshotRun(folder(), repository(), sources, options);
  const request = { repository: repository(), host: 'test-host', rehash: false, oneFileSystem: false, leaveOut: [repository()], allowMissing: false, allowEmpty: false, ...options, sources: sources.map((path) => ({ path, root: folder() })), excludes: { patterns: [], caches: false, maxSizeBytes: null, ...options.excludes } };
  const preview = previewSnapshot(request, () => undefined, new TransferControl());
  const record = run.take();
  const { files: count, failed: failedCount, excluded, directories } = record.counts;
  expect({ files: preview.newFiles + preview.changedFiles + preview.unchangedFiles, failed: preview.failed, excluded: preview.excluded, directories: preview.directories }).toEqual({ files: count, failed: failedCount, excluded, directories });
  const entries = [...run.open().entries()];
  const below = (isWanted: (state: string, type: string) => boolean): string[] => entries.filter(({ entry }) => isWanted(entry.state, entry.type)).map(({ path }) => pathText(path).slice(source().length + 1));
  expect((await check(repository())).problems).toEqual([]);
  return { record, files: below((state, type) => type === 'file' && state !== 'failed'), failed: below((state) => state === 'failed') };
}

describe('what is named below another source is backed up, whatever leaves it out there:', () => {
  test.each([
    ['a pattern', ['', 'cache/keep'], { excludes: { patterns: ['cache/', 'disk/', 'tagged/'] } }, ['cache/keep/k', 'f']],
    ['a pattern that matches the file itself', ['', 'cache/keep.txt'], { excludes: { patterns: ['*.txt', 'cache', '/disk', 'tagged'] } }, ['cache/keep.txt', 'f']],
    ['a pattern for the source itself', ['', 'cache/keep'], { excludes: { patterns: ['keep', 'disk', 'tagged', 'x', 'keep.txt'] } }, ['cache/keep/cache/k', 'cache/keep/k', 'f']],
    ['a limit of size', ['', 'cache/x', 'f'], { excludes: { maxSizeBytes: 10 } }, ['cache/x', 'f']],
    ['a limit of size, for the only source', ['f'], { excludes: { maxSizeBytes: 10 } }, ['f']],
    ['a cache that says that it is one', ['', 'tagged/keep'], { excludes: { caches: true, patterns: ['/cache', '/disk'] } }, ['f', 'tagged/CACHEDIR.TAG', 'tagged/keep/k']],
    ['two levels of it', ['', 'cache/keep/cache'], { excludes: { patterns: ['cache/', 'keep/', 'disk', 'tagged'] } }, ['cache/keep/cache/k', 'f']],
  ] satisfies [string, string[], SnapshotRunOptions, string[]][])('%s', async (_what, names, options, files) => {
    const taken = await take(names, options);
    expect(taken).toMatchObject({ files, failed: [], record: { status: 'complete' } });
  });

  test('the border of a file system', async () => {
    const { ino } = fs.statSync(source('disk'), { bigint: true });
    const inside = fs.readdirSync(source('disk')).map((name) => fs.statSync(source('disk', name), { bigint: true }).ino).concat(fs.statSync(source('disk/keep/k'), { bigint: true }).ino, ino);
    const stop = interceptFs(({ name }, proceed) => {
      const result = proceed();
      if (!name.endsWith('statSync') || typeof result !== 'object' || result === null || !('dev' in result) || typeof result.dev !== 'bigint') return result;
      const stats = result as fs.BigIntStats;
      return inside.includes(stats.ino) ? Object.assign(Object.create(Object.getPrototypeOf(stats) as object) as object, stats, { dev: 4242n }) : stats;
    });
    try {
      const { files } = await take(['', 'disk/keep'], { oneFileSystem: true, excludes: { patterns: ['cache', 'tagged'] } });
      expect(files).toEqual(['disk/keep/k', 'f']);
    } finally {
      stop();
    }
  });

  test('the repository that it lies in is left out all the same, and nothing of it is taken', async () => {
    const { files, record } = await take([''], { leaveOut: [source('cache')], excludes: { patterns: ['disk', 'tagged'] } });
    expect({ files, leftOut: record.leftOut }).toEqual({ files: ['f'], leftOut: [source('cache')] });
  });
});

test('one source below another is in the snapshot once, by patterns from its own top', async () => {
  const { files, record } = await take(['', 'cache', 'cache/keep'], { excludes: { patterns: ['/keep', '/cache', 'disk', 'tagged'] } });
  expect(files).toEqual(['cache/keep/k', 'cache/keep.txt', 'cache/x', 'f']);
  expect(record.sources).toEqual([source()]);
});

test('one that goes away below a directory that is left out fails by name, in its place', async () => {
  const sources = [source(), source('cache/gone/deep'), source('cache/keep')];
  const run = new SnapshotRun(folder(), repository(), sources, { allowMissing: true, excludes: { patterns: ['cache/'] } });
  expect(run.take()).toMatchObject({ status: 'partial', counts: { failed: 2 } });
  const failed = [...run.open().entries()].filter(({ entry }) => entry.state === 'failed').map(({ path }) => path);
  expect(failed).toEqual([source('cache/gone'), source('cache/gone/deep')]);
  expect((await check(repository())).problems).toEqual([]);
});

test('one whose way is a file by now fails by name, and the snapshot can be read', async () => {
  const run = new SnapshotRun(folder(), repository(), [source(), source('f/inside')], { allowMissing: true, excludes: { patterns: ['f'] } });
  expect(run.take()).toMatchObject({ status: 'partial', counts: { failed: 2 } });
  expect((await check(repository())).problems).toEqual([]);
});
