import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import type { Batch, SnapshotPlan } from '../../src/activities';
import type { ActivityName } from '../../src/activities/requests';
import { BatchBackupInput } from '../../src/batch-models';
import { initRepository } from '../../src/storage/snapshot/repository';
import { ActivityPlace, newAsking, RecordedRuns, type Asking, type Requests } from '../helpers/activity-place';
import { exactTree } from '../helpers/exact-tree';
import { makeFolder, memoryFolder, removeFolder } from '../helpers/files';

// Each file is synced by itself: nobody can wait here for a sync of the file system, since all is one thread.
jest.mock('../../src/activities/file-system-sync', () => ({ ...jest.requireActual<object>('../../src/activities/file-system-sync'), canSyncFileSystem: () => false }));

let folder: string;
let place: ActivityPlace;
beforeEach(() => {
  folder = makeFolder(memoryFolder());
  place = new ActivityPlace(folder);
});
afterEach(() => removeFolder(folder));

async function refusalOf(promise: Promise<unknown>): Promise<ApplicationFailure> {
  const error: unknown = await promise.then(
    (result) => new Error(`It was not refused: ${JSON.stringify(result)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApplicationFailure)) throw error;
  return error;
}

/** Activities that touch a run of many files, planning ones aside. */
const touching = {
  batch: ['backupChunk', 'amendChunk', 'revokeRun', 'undoChunks', 'sealRun', 'discardRun'],
  snapshot: ['snapshotChunk', 'sealSnapshot', 'discardSnapshot'],
  restore: ['restoreChunk', 'finishRestore', 'closeRestore'],
} as const;
const kinds = Object.keys(touching) as (keyof typeof touching)[];

/** A run of a kind, under way. */
async function underWay(kind: keyof typeof touching): Promise<{ requests: Requests; asking: Asking }> {
  if (kind === 'restore') await new RecordedRuns(place).snapshot(true);
  const runs = new RecordedRuns(place);
  if (kind === 'batch') await runs.batch();
  if (kind === 'snapshot') await runs.snapshot(false);
  if (kind === 'restore') await runs.restore();
  return runs;
}

describe.each(kinds)('of a %s that is under way', (kind) => {
  test.each(touching[kind])('%s is refused to everybody else, and nothing of it changes', async (name) => {
    const { requests, asking } = await underWay(kind);
    const before = exactTree(folder);
    const others: Asking[] = [newAsking(), newAsking(asking.workflowId), { ...newAsking(), firstRunId: randomUUID() }];
    for (const other of others) expect(await refusalOf(place.schedule(name, [requests[name]], other))).toMatchObject({ type: 'NotOwnRun', nonRetryable: true });
    expect(exactTree(folder)).toEqual(before);
  });

  // What a run leaves in a directory is the run's, whatever the server of this worker says of its id.
  test.each(touching[kind])('%s is refused where the record on disk names another cluster, namespace, workflow or run', async (name) => {
    const { requests, asking } = await underWay(kind);
    const [owner] = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith(`${asking.runId}/owner.json`));
    const path = join(folder, owner ?? '');
    const record = JSON.parse(fs.readFileSync(path, 'utf8')) as Record<string, string>;
    for (const forged of [...Object.keys(record).map((field) => JSON.stringify({ ...record, [field]: 'other' })), '', 'null', '5', '[]', '{"clusterId":{}}']) {
      fs.writeFileSync(path, forged);
      const before = exactTree(folder);
      expect((await refusalOf(place.schedule(name, [requests[name]], asking))).type).toMatch(/^(NotOwnRun|DestinationNotTrusted)$/);
      expect(exactTree(folder)).toEqual(before);
    }
  });

  test('a later execution of the same chain goes on with it', async () => {
    const { requests, asking } = await underWay(kind);
    for (const name of touching[kind].filter((each) => each !== 'discardRun' && each !== 'discardSnapshot')) {
      await place.schedule(name, [requests[name]], { ...newAsking(asking.workflowId), firstRunId: asking.runId });
    }
  });
});

test('a plan is refused under the id of another run, and nothing is made', async () => {
  const { requests, asking } = await underWay('batch');
  const before = exactTree(folder);
  expect(await refusalOf(place.schedule('planBatch', [requests.planBatch], newAsking(asking.workflowId)))).toMatchObject({ type: 'NotOwnRun' });
  expect(exactTree(folder)).toEqual(before);
});

test('a run that leads to another destination finds nothing of its own there', async () => {
  const { requests, asking } = await underWay('restore');
  fs.mkdirSync(place.path('elsewhere', '.file-backup', 'runs'), { recursive: true });
  fs.chmodSync(place.path('elsewhere'), 0o700);
  const before = exactTree(place.path('elsewhere'), { withTop: true });
  const restore = { ...requests.closeRestore?.restore, location: { destination: place.path('elsewhere'), runId: asking.runId }, rootAttributes: { mode: '4777', uid: 12345, gid: 12345, mtimeNs: '0' } };
  expect(await refusalOf(place.schedule('finishRestore', [{ restore: { ...restore, ground: groundOf(place.root) }, cancelled: false }], asking))).toMatchObject({ type: 'StagingRevoked' });
  await place.schedule('closeRestore', [{ restore: { ...restore, ground: groundOf(place.root) }, failuresPath: null }], asking);
  expect(exactTree(place.path('elsewhere'), { withTop: true, skip: ['.file-backup'] })).toEqual(Object.fromEntries(Object.entries(before).filter(([name]) => !name.startsWith('.file-backup'))));
});

test('the end of a restore gives the destination what the run\'s own plan says, whatever it is told', async () => {
  const { requests, asking } = await underWay('restore');
  const before = fs.statSync(place.path('restored'), { bigint: true });
  await place.schedule('finishRestore', [requests.finishRestore], asking);
  const forged = { ...requests.closeRestore, restore: { ...requests.closeRestore?.restore, rootAttributes: { mode: '4777', uid: 12345, gid: 12345, mtimeNs: '0' } } };
  // The second attempt finds the plan gone.
  await place.schedule('closeRestore', [forged], asking);
  await place.schedule('closeRestore', [forged], asking);
  const after = fs.statSync(place.path('restored'), { bigint: true });
  expect([after.mode, after.uid, after.gid]).toEqual([before.mode, before.uid, before.gid]);
});

/** As `inspectRun` answers it. */
function groundOf(path: string): object {
  const { dev, ino, birthtimeNs, ctimeNs } = fs.lstatSync(path, { bigint: true });
  return { destination: { path, device: String(dev), inode: String(ino), ...(birthtimeNs === 0n || birthtimeNs === ctimeNs ? {} : { bornNs: String(birthtimeNs) }) }, missingDirectories: [] };
}

describe('a single file', () => {
  test.each(['stageFile', 'verifyFile', 'publishFile', 'unpublishFile', 'discardStaging', 'finalizeFile'] as const)('%s is refused where the staging directory names another cluster, workflow or target', async (name) => {
    const runs = new RecordedRuns(place);
    await runs.file();
    const path = place.path('backups', 'new', `.file-backup-${runs.asking.runId}`, 'record.json');
    const record = JSON.parse(fs.readFileSync(path, 'utf8')) as { owner: object };
    for (const forged of [{ ...record, owner: { ...record.owner, clusterId: 'other' } }, { ...record, owner: { ...record.owner, workflowId: 'other' } }, { ...record, targetPath: '/etc/passwd' }, { ...record, owner: null }, null, 5]) {
      fs.writeFileSync(path, JSON.stringify(forged));
      const before = exactTree(folder);
      expect((await refusalOf(place.schedule(name, [runs.requests[name]], runs.asking))).type).toMatch(/^(NotOwnRun|DestinationNotTrusted)$/);
      expect(exactTree(folder)).toEqual(before);
    }
  });

  test('undo goes by what was there before, and not by what it is told was', async () => {
    const target = place.write('backups/new/file', 'precious');
    const runs = new RecordedRuns(place);
    await runs.file();
    expect(fs.readFileSync(target, 'utf8')).toBe('content of sources/file');
    const { unpublishFile } = runs.requests;
    await place.schedule('unpublishFile', [{ ...unpublishFile, prepared: { previous: null, hardLinks: false, attempt: 1 } }], runs.asking);
    expect(fs.readFileSync(target, 'utf8')).toBe('precious');
  });

  test('undo removes no directory that was there before, whatever it is told', async () => {
    fs.mkdirSync(place.path('backups', 'new'), { recursive: true });
    const runs = new RecordedRuns(place);
    const { operation } = await runs.file();
    const forged = { ...operation, destination: { ...operation.destination, path: place.root }, missingDirectories: [place.path('backups'), place.path('backups', 'new')] };
    const identity = groundOf(place.root) as { destination: object };
    await place.schedule('unpublishFile', [runs.requests.unpublishFile], runs.asking);
    await place.schedule('prepareStaging', [{ operation: { ...forged, destination: identity.destination } }], runs.asking).catch(() => undefined);
    await place.schedule('discardStaging', [{ operation: { ...forged, destination: identity.destination } }], runs.asking);
    expect(fs.readdirSync(place.path('backups', 'new'))).toEqual([]);
  });

  test('undo removes the directories that were made for it, by another worker too', async () => {
    const runs = new RecordedRuns(place);
    const { operation } = await runs.file();
    place.registry.remove(runs.asking.runId);
    await place.schedule('unpublishFile', [runs.requests.unpublishFile], runs.asking);
    await place.schedule('discardStaging', [{ operation }], runs.asking);
    expect(fs.existsSync(place.path('backups'))).toBe(false);
  });
});

test.each([['a path', '../../../outside/x'], ['an absolute path', '/etc/x'], ['two names', 'a/b'], ['the parent', '..'], ['empty', ''], ['a NUL', '\0'], ['longer than a name may be', 'x'.repeat(5000)]])('an activity\'s id that is %s names nothing on disk', async (_what, activityId) => {
  const asking = newAsking();
  const sources = [place.write('sources/a')];
  const input = BatchBackupInput.parse({ sources, backupDir: place.path('backups'), verifyFrom: 'cache' });
  const outside = exactTree(place.outside);
  const batch = (await place.schedule('planBatch', [{ input, runId: asking.runId }], asking)) as Batch;
  expect(await place.schedule('backupChunk', [{ batch: JSON.parse(JSON.stringify(batch)) as Batch, chunk: 0, pass: 0, storage: 'storage' }], asking, activityId)).toMatchObject({ counts: { backedUp: 1 } });
  expect(exactTree(place.outside)).toEqual(outside);
});

describe('a path that is below a root by its text, and leads out of it by a link,', () => {
  const secret = 'SECRET-in-a-file-outside';

  beforeEach(() => {
    initRepository(join(place.outside, 'repository'));
    fs.mkdirSync(join(place.outside, '2026-01-01T00-00-00Z-00000000'));
    fs.writeFileSync(join(place.outside, 'list'), secret);
    fs.symlinkSync(place.outside, place.path('link'));
    place.write('sources/a');
  });

  test.each<[ActivityName, (runId: string) => unknown]>([
    ['planSnapshot', (runId) => ({ input: { sources: [place.path('sources')], repository: place.path('link', 'repository') }, runId })],
    ['planSnapshot', (runId) => ({ input: { sources: [place.path('link')], repository: place.path('link', 'repository') }, runId })],
    ['planRestore', (runId) => ({ input: { repository: place.path('link', 'repository'), target: place.path('target') }, runId })],
    ['planRestore', (runId) => ({ input: { repository: place.path('link', 'repository'), target: place.path('link', 'target') }, runId })],
    ['planBatch', (runId) => ({ input: { sources: [place.path('sources', 'a')], backupDir: place.path('link', 'backups') }, runId })],
    ['planBatch', (runId) => ({ input: { sourceList: { path: place.path('link', 'list'), separator: 'newline', sha256: '0'.repeat(64) }, backupDir: place.path('backups') }, runId })],
    ['inspectFile', () => ({ input: { sourcePath: place.path('link', 'list'), backupPath: place.path('target') } })],
    ['inspectFile', () => ({ input: { sourcePath: place.path('sources', 'a'), backupPath: place.path('link', 'target') } })],
    ['pruneRepository', () => ({ repository: place.path('link', 'repository'), host: 'host', keep: { last: 1 } })],
    ['checkRepository', () => ({ repository: place.path('link', 'repository'), readData: null })],
  ])('is refused by %s, and nothing outside is shown or changed', async (name, request) => {
    const outside = exactTree(place.outside, { withTop: true });
    const asking = newAsking();
    const refusal = await refusalOf(place.schedule(name, [request(asking.runId)], asking));
    expect(refusal.type).toMatch(/^(Source|Target)NotCanonical$/);
    expect(JSON.stringify([refusal.message, refusal.details])).not.toContain(secret);
    expect(exactTree(place.outside, { withTop: true })).toEqual(outside);
  });
});

test('a snapshot under way is not sealed by a run whose input it is handed', async () => {
  const { requests } = await underWay('snapshot');
  const thief = new RecordedRuns(place);
  const own: SnapshotPlan = await thief.snapshot(false);
  const stolen = { ...requests.sealSnapshot, snapshot: { ...own, location: requests.sealSnapshot?.snapshot.location } };
  expect(await refusalOf(place.schedule('sealSnapshot', [stolen], thief.asking))).toMatchObject({ type: 'NotOwnRun' });
});
