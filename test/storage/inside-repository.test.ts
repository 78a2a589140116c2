import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import type { ActivityName } from '../../src/activities/requests';
import { isRepository, refuseInsideRepository } from '../../src/storage/inside-repository';
import { initRepository } from '../../src/storage/snapshot/repository';
import { snapshotNames } from '../../src/storage/snapshot/snapshot-record';
import { ActivityPlace, newAsking, RecordedRuns } from '../helpers/activity-place';
import { exactTree } from '../helpers/exact-tree';
import { isRoot, makeFolder, memoryFolder, removeFolder } from '../helpers/files';

// Each file is synced by itself: nobody can wait here for a sync of the file system, since all is one thread.
jest.mock('../../src/activities/file-system-sync', () => ({ ...jest.requireActual<object>('../../src/activities/file-system-sync'), canSyncFileSystem: () => false }));

let folder: string;
let place: ActivityPlace;
beforeEach(async () => {
  folder = makeFolder(memoryFolder());
  place = new ActivityPlace(folder);
  await new RecordedRuns(place).snapshot(true);
});
afterEach(() => removeFolder(folder));

const repository = (): string => place.path('repository');
/** The directory of the snapshot's copies. */
const published = (...names: string[]): string => join(repository(), snapshotNames(repository())[0] ?? '', 'data', ...names);

async function typeOf(name: ActivityName, request: unknown, asking = newAsking()): Promise<string> {
  try {
    await place.schedule(name, [request], asking);
    return 'done';
  } catch (error) {
    if (!(error instanceof ApplicationFailure)) throw error;
    return error.type ?? '';
  }
}

/** Places in a repository, however deep. */
const places: [string, () => string][] = [
  ['the repository itself', repository],
  ['a new directory in it', () => join(repository(), 'new')],
  ['its own files', () => join(repository(), '.file-backup')],
  ['a published snapshot', () => dirname(published())],
  ['copies in a snapshot', () => published(place.path('sources', 'tree'))],
];

describe.each(places)('into %s', (_what, directory) => {
  const source = (): string => place.path('sources', 'tree', 'a');
  const plans: [string, ActivityName, (runId: string) => unknown][] = [
    ['a file', 'inspectFile', () => ({ input: { sourcePath: source(), backupPath: join(directory(), 'a') } })],
    ['a batch', 'planBatch', (runId) => ({ input: { sources: [source()], backupDir: directory() }, runId })],
    ['a restore', 'planRestore', (runId) => ({ input: { repository: repository(), target: directory() }, runId })],
  ];

  test.each(plans)('%s is refused, and the repository stays as it is', async (_kind, name, request) => {
    const before = exactTree(repository());
    const asking = newAsking();
    expect(await typeOf(name, request(asking.runId), asking)).toBe('TargetInsideRepository');
    expect(exactTree(repository())).toEqual(before);
  });

  test.each(['prepareStaging', 'writeTarget'] as const)('a file whose first step was left out is refused by %s', async (name) => {
    const runs = new RecordedRuns(place);
    const { operation } = await runs.file('other');
    const existing = fs.existsSync(directory()) ? directory() : repository();
    const { dev, ino, birthtimeNs, ctimeNs } = fs.lstatSync(existing, { bigint: true });
    const destination = { path: existing, device: String(dev), inode: String(ino), ...(birthtimeNs === 0n || birthtimeNs === ctimeNs ? {} : { bornNs: String(birthtimeNs) }) };
    const forged = { ...operation, input: { ...operation.input, backupPath: join(directory(), 'a') }, destination, missingDirectories: existing === directory() ? [] : [directory()] };
    const before = exactTree(repository());
    expect(await typeOf(name, { operation: forged })).toBe('TargetInsideRepository');
    expect(exactTree(repository())).toEqual(before);
  });

  test('another repository is not made', () => {
    if (directory() === repository()) return;
    expect(() => initRepository(join(directory(), 'nested'))).toThrow('lies inside the repository');
  });
});

test('a batch of full paths is refused where one of them leads into a repository below its directory', async () => {
  const source = place.write('sources/other/a');
  const nested = join(place.path('tree'), dirname(source));
  fs.mkdirSync(nested, { recursive: true });
  initRepository(join(nested, 'repository'));
  const inside = place.write('sources/other/repository/deep/b');
  const request = (sources: string[]) => ({ input: { sources, backupDir: place.path('tree'), layout: 'tree' } });
  const [good, bad] = [newAsking(), newAsking()];
  const before = exactTree(nested);
  expect(await typeOf('planBatch', { ...request([source, inside]), runId: bad.runId }, bad)).toBe('TargetInsideRepository');
  expect(exactTree(nested)).toEqual(before);
  expect(await typeOf('planBatch', { ...request([source]), runId: good.runId }, good)).toBe('done');
});

test('a restore leaves out, by name, what would get into a repository below its target', async () => {
  const nested = join(place.path('restored'), place.path('sources', 'tree', 'deep'));
  fs.mkdirSync(nested, { recursive: true });
  initRepository(nested);
  const before = exactTree(nested, { withTop: true });
  const runs = new RecordedRuns(place);
  const restore = await runs.restore();
  const end = await place.call('finishRestore', { restore, cancelled: false }, runs.asking);
  expect(end).toMatchObject({ failed: 0, skippedByReason: { repository: 2 } });
  expect(end.skippedSample).toContainEqual({ path: place.path('sources', 'tree', 'deep', 'b'), reason: 'it would get into a repository that is there' });
  expect(exactTree(nested, { withTop: true })).toEqual(before);
  expect(fs.readFileSync(join(place.path('restored'), place.path('sources', 'tree', 'a')), 'utf8')).toBe('content of sources/tree/a');
});

describe('a copy of a repository in a snapshot of another one', () => {
  let copy: string;
  beforeEach(() => {
    copy = published('copy');
    fs.cpSync(repository(), join(folder, 'aside'), { recursive: true });
    fs.cpSync(join(folder, 'aside'), copy, { recursive: true });
  });

  test.each<[ActivityName, (runId: string) => unknown]>([
    ['planSnapshot', (runId) => ({ input: { sources: [place.path('sources')], repository: copy }, runId })],
    ['pruneRepository', () => ({ repository: copy, host: 'host', keep: { last: 1 } })],
  ])('is not changed by %s', async (name, request) => {
    const before = exactTree(repository());
    const asking = newAsking();
    expect(await typeOf(name, request(asking.runId), asking)).toBe('TargetInsideRepository');
    expect(exactTree(repository())).toEqual(before);
  });

  test('is still read', async () => {
    const asking = newAsking();
    expect(await typeOf('planRestore', { input: { repository: copy, target: place.path('restored') }, runId: asking.runId }, asking)).toBe('done');
  });
});

test('a snapshot whose repository lies below its source is taken, and leaves it out', async () => {
  const asking = newAsking();
  expect(await typeOf('planSnapshot', { input: { sources: [place.root], repository: repository(), host: 'host' }, runId: asking.runId }, asking)).toBe('done');
});

test('a directory beside a repository, and one that is called like ours, hold no repository', () => {
  fs.mkdirSync(place.path('backups', '.file-backup', 'runs'), { recursive: true });
  fs.mkdirSync(place.path('other', '.file-backup', randomUUID()), { recursive: true });
  for (const directory of ['backups', 'other', 'repository-2', 'backups/.file-backup/x']) expect(() => refuseInsideRepository(place.path(directory))).not.toThrow();
  place.write('file');
  expect(isRepository(place.path('file'))).toBe(false);
});

(isRoot ? test : test.skip)('the mark of a repository that somebody else has put into a directory of root makes it none', () => {
  const shared = place.path('shared');
  initRepository(shared);
  fs.chownSync(join(shared, '.file-backup', 'repository.json'), 12345, 12345);
  expect(isRepository(shared)).toBe(false);
  fs.chownSync(shared, 12345, 12345);
  expect(isRepository(shared)).toBe(true);
});
