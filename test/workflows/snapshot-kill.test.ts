import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { RunHandle } from '../../src/client';
import type { RestoreOutput } from '../../src/restore-models';
import type { SnapshotOutput } from '../../src/snapshot-models';
import { initRepository } from '../../src/storage/snapshot/repository';
import { listSnapshots, snapshotNames } from '../../src/storage/snapshot/snapshot-record';
import { setEntryTimes } from '../../src/storage/posix';
import type { ScheduledOutput } from '../../src/workflows/scheduled-snapshot';
import { startHarness, type Harness } from '../helpers/backup-harness';
import { check } from '../helpers/check';
import { exactTree } from '../helpers/exact-tree';
import { memoryFolder } from '../helpers/files';
import { startPlace, startWorkerProcess, type Fault } from '../helpers/worker-process';
import { SnapshotRun } from '../storage/snapshot/snapshot-run';

jest.setTimeout(180_000);

/** Hundreds of threads begin at once. */
const REACHED_WITHIN_MS = 120_000;

/** Where the worker is when it is killed. */
type Point = readonly [step: string, when: Fault['when'], call?: string, nth?: number, path?: string];

/** Names in a run's directory that tell the calls of a step apart. */
const files = { owner: 'owner.json', reserve: '/reserve', plan: '/plan', tree: 'tree.ndjson', journal: '/journal/', staging: '/staging/', revoked: 'staging.revoked', data: '/data/', metadata: 'metadata.ndjson', checksums: 'SHA256SUMS', record: 'snapshot.json', published: '/repository/2', aside: '.revoked', removed: '/removed/', summary: 'summary.json', target: '/source/' } as const;

const openPoints: readonly Point[] = [
  ['openRun', 'before'],
  ['openRun', 'after', 'renameSync', 1, files.owner],
  ['openRun', 'after', 'writeFileSync', 1, files.reserve],
];

/** Where every snapshot can be met. */
const planPoints: readonly Point[] = [
  ...openPoints,
  ['planSnapshot', 'before'],
  ['planSnapshot', 'after', 'openSync', 1, 'plan.ndjson'],
  ['planSnapshot', 'after', 'openSync', 1, files.tree],
  ['planSnapshot', 'before', 'renameSync', 1, files.plan],
  ['planSnapshot', 'after', 'renameSync', 1, files.plan],
  ['planSnapshot', 'after', 'mkdirSync', 1, files.data],
  ['planSnapshot', 'after'],
];

const chunkPoints: readonly Point[] = [
  ['snapshotChunk', 'before'],
  ['snapshotChunk', 'after', 'mkdirSync', 1, files.staging],
  ['snapshotChunk', 'after', 'openSync', 1, files.staging],
  ['snapshotChunk', 'after', 'writeSync', 1, files.staging],
  ['snapshotChunk', 'after', 'readSync', 1, files.staging],
  ['snapshotChunk', 'before', 'linkSync', 1, files.journal],
  ['snapshotChunk', 'after', 'linkSync', 1, files.journal],
  ['snapshotChunk', 'before', 'renameSync', 1, files.data],
  ['snapshotChunk', 'after', 'renameSync', 1, files.data],
  ['snapshotChunk', 'after'],
];

const sealPoints: readonly Point[] = [
  ['sealSnapshot', 'before'],
  ['sealSnapshot', 'after', 'symlinkSync', 1],
  ['sealSnapshot', 'after', 'linkSync', 1, files.data],
  ['sealSnapshot', 'after', 'chmodSync', 4, files.data],
  ['sealSnapshot', 'before', 'renameSync', 1, files.metadata],
  ['sealSnapshot', 'after', 'renameSync', 1, files.metadata],
  ['sealSnapshot', 'after', 'renameSync', 1, files.checksums],
  ['sealSnapshot', 'before', 'renameSync', 1, files.record],
  ['sealSnapshot', 'after', 'renameSync', 1, files.record],
  // Publishes.
  ['sealSnapshot', 'before', 'renameSync', 1, files.published],
  ['sealSnapshot', 'after', 'renameSync', 1, files.published],
  // Removes what is left of the run.
  ['sealSnapshot', 'after', 'unlinkSync', 1, files.reserve],
  ['sealSnapshot', 'after', 'rmdirSync', 1, '/journal'],
  ['sealSnapshot', 'after', 'rmdirSync', 1, files.plan],
  ['sealSnapshot', 'after'],
];

/** Where a file that is unchanged gets a further name. */
const linkPoints: readonly Point[] = [
  ['snapshotChunk', 'before', 'linkSync', 1, files.data],
  ['snapshotChunk', 'after', 'linkSync', 1, files.data],
  ['snapshotChunk', 'after', 'linkSync', 2, files.data],
];

const discardPoints: readonly Point[] = [
  ['discardSnapshot', 'before'],
  ['discardSnapshot', 'before', 'renameSync', 1, files.aside],
  ['discardSnapshot', 'after', 'renameSync', 1, files.aside],
  ['discardSnapshot', 'after', 'unlinkSync', 1],
  ['discardSnapshot', 'after', 'rmdirSync', 1],
  ['discardSnapshot', 'after'],
];

const restorePoints: readonly Point[] = [
  ...openPoints,
  ['planRestore', 'before'],
  ['planRestore', 'after', 'openSync', 1, 'plan.ndjson'],
  ['planRestore', 'before', 'renameSync', 1, files.plan],
  ['planRestore', 'after', 'renameSync', 1, files.plan],
  ['restoreChunk', 'before'],
  ['restoreChunk', 'after', 'mkdirSync', 1, files.staging],
  ['restoreChunk', 'after', 'writeSync', 1, files.staging],
  ['restoreChunk', 'after', 'readSync', 1, files.staging],
  ['restoreChunk', 'before', 'linkSync', 1, files.journal],
  ['restoreChunk', 'after', 'linkSync', 1, files.journal],
  ['restoreChunk', 'after'],
  ['finishRestore', 'before'],
  ['finishRestore', 'before', 'renameSync', 1, files.revoked],
  ['finishRestore', 'after', 'renameSync', 1, files.revoked],
  ['finishRestore', 'after', 'symlinkSync', 1],
  ['finishRestore', 'before', 'renameSync', 1, files.summary],
  ['finishRestore', 'after', 'renameSync', 1, files.summary],
  ['finishRestore', 'after'],
  ['closeRestore', 'before'],
  ['closeRestore', 'after', 'unlinkSync', 1],
  ['closeRestore', 'after'],
];

const restoreNewPoints: readonly Point[] = [
  ['restoreChunk', 'before', 'linkSync', 1, files.target],
  ['restoreChunk', 'after', 'linkSync', 1, files.target],
  ['restoreChunk', 'after', 'linkSync', 2, files.target],
  ['finishRestore', 'after', 'mkdirSync', 1, files.target],
  ['finishRestore', 'before', 'linkSync', 1, files.target],
  ['finishRestore', 'after', 'linkSync', 1, files.target],
];

const restoreOverPoints: readonly Point[] = [
  ['restoreChunk', 'before', 'renameSync', 1, files.target],
  ['restoreChunk', 'after', 'renameSync', 1, files.target],
  ['restoreChunk', 'after', 'renameSync', 2, files.target],
];

const prunePoints: readonly Point[] = [
  ['pruneRepository', 'before'],
  ['pruneRepository', 'before', 'renameSync', 1, files.removed],
  ['pruneRepository', 'after', 'renameSync', 1, files.removed],
  ['pruneRepository', 'after', 'renameSync', 2, files.removed],
  ['pruneRepository', 'after', 'unlinkSync', 1],
  ['pruneRepository', 'after', 'unlinkSync', 5],
  ['pruneRepository', 'after', 'rmdirSync', 1],
  ['pruneRepository', 'after'],
];

interface Group {
  readonly kind: 'snapshot' | 'restore' | 'prune';
  readonly points: readonly Point[];
  /** Snapshots that are in the repository before; a restore's target is there before, with one. */
  readonly earlier: number;
  /** There is nothing to take a snapshot of, so that what was begun is removed. */
  readonly isBad?: true;
}

const groups: Record<string, Group> = {
  'in a first snapshot': { kind: 'snapshot', points: [...planPoints, ...chunkPoints, ...sealPoints], earlier: 0 },
  'in a snapshot that has a parent': { kind: 'snapshot', points: [...linkPoints, ...planPoints.slice(-5), ...chunkPoints.slice(1), ...sealPoints.slice(-8)], earlier: 1 },
  'in a snapshot that comes to nothing': { kind: 'snapshot', points: discardPoints, earlier: 1, isBad: true },
  'in a restore': { kind: 'restore', points: [...restorePoints, ...restoreNewPoints], earlier: 0 },
  'in a restore over other files': { kind: 'restore', points: [...restorePoints.slice(-12), ...restoreOverPoints], earlier: 1 },
  'while it prunes': { kind: 'prune', points: prunePoints, earlier: 2 },
};

interface Case {
  readonly title: string;
  readonly point: Point;
  readonly directory: string;
  readonly earlier: readonly string[];
  run: RunHandle<SnapshotOutput | RestoreOutput> | WorkflowHandle;
}

/** A group's place after its worker was killed, with the second worker at work. */
interface Survivors {
  readonly place: Harness;
  readonly second: Harness;
  readonly cases: ReadonlyMap<string, Case>;
  /** What was wrong in repositories when the worker was dead. */
  readonly faults: ReadonlyMap<string, readonly unknown[]>;
}

const places: Harness[] = [];
const survivors = new Map<string, Promise<Survivors>>();

// All at once: what takes time is that the server misses the heartbeats of a dead worker.
beforeAll(() => {
  for (const [title, group] of Object.entries(groups)) survivors.set(title, killAndFollow(group));
});

afterAll(async () => {
  const ended = await Promise.allSettled(survivors.values());
  for (const each of ended) if (each.status === 'fulfilled') await each.value.second.stop();
  for (const place of places) await place.remove();
});

describe.each(Object.entries(groups))('a worker that dies %s', (title, group) => {
  test.each(group.points.map(titleOf))('%s', async (point) => {
    const { place, cases, faults } = await (survivors.get(title) as Promise<Survivors>);
    const each = cases.get(point) as Case;
    const output: unknown = await each.run.result();
    // No half snapshot was ever listed.
    expect(faults.get(point)).toEqual([]);
    if (group.kind === 'restore') expectRestored(place, each, output as RestoreOutput);
    else if (group.isBad === true) expect(output).toMatchObject({ success: false, snapshot: null, errorCode: 'SourceNotFound', rollback: 'performed' });
    else if (group.kind === 'snapshot') expectTaken(place, each, output as SnapshotOutput);
    else expectPruned(place, each, output as ScheduledOutput);
    expect(await faultsIn(repositoryOf(group, place, each.directory))).toEqual([]);
    for (const name of ['incoming', 'removed']) expect([name, fs.readdirSync(join(repositoryOf(group, place, each.directory), '.file-backup', name))]).toEqual([name, []]);
    if (group.isBad === true) expect(snapshotNames(join(each.directory, 'repository'))).toEqual(each.earlier);
  });
});

function titleOf([step, when, call, nth, path]: Point): string {
  return `${when} ${call === undefined ? step : `${call} ${nth} ${path === undefined ? '' : `of ${path} `}in ${step}`}`;
}

/** All restores are from one repository. */
function repositoryOf({ kind }: Group, place: Harness, directory: string): string {
  return kind === 'restore' ? place.path('repository') : join(directory, 'repository');
}

async function killAndFollow(group: Group): Promise<Survivors> {
  // A kill leaves the page cache alone: in memory the same is found sooner.
  const place = await startPlace(memoryFolder());
  places.push(place);
  makeSource(place.path('source'));
  if (group.kind === 'restore') {
    initRepository(place.path('repository'));
    new SnapshotRun(place.directory, place.path('repository'), [place.path('source')]).take();
  }
  const cases = group.points.map((point, index) => prepare(group, place, point, index));
  for (const [index, name] of ['changed', 'sub/changed too'].entries()) fs.appendFileSync(place.path('source', name), `since then ${index}`);
  if (group.kind === 'restore') new SnapshotRun(place.directory, place.path('repository'), [place.path('source')]).take();
  // A case's key is where its steps work.
  const faults = Object.fromEntries(cases.map(({ point: [step, when, call, nth = 1, path], directory }, index) => [join(directory, group.kind === 'restore' ? 'target' : 'repository'), [{ id: `stop-${index}`, step, when, call, nth, path, action: 'block' }] as const]));
  // A busy machine may miss heartbeats: the attempts that follow need room beside those that are stopped.
  const worker = startWorkerProcess({ ...place, faults, concurrency: cases.length * 2 });
  const found = new Map<string, readonly unknown[]>();
  try {
    await Promise.all(cases.map(async (each, index) => (each.run = await start(group, place, each, index))));
    await worker.reached(cases.map((_each, index) => `stop-${index}`), REACHED_WITHIN_MS);
  } finally {
    await worker.kill();
  }
  for (const each of cases) found.set(each.title, await faultsIn(repositoryOf(group, place, each.directory)));
  const second = await startHarness({ like: place, breaker: { failureThreshold: 1000 } });
  return { place, second, cases: new Map(cases.map((each) => [each.title, each])), faults: found };
}

/** Files of all kinds, with bytes enough to be met while they are written. */
function makeSource(source: string): void {
  fs.mkdirSync(join(source, 'sub', 'deeper'), { recursive: true });
  fs.mkdirSync(join(source, 'empty'));
  for (const name of ['changed', 'one', 'sub/changed too', 'sub/two', 'sub/deeper/three']) fs.writeFileSync(join(source, name), `content of ${name} `.repeat(100), { mode: 0o640 });
  fs.linkSync(join(source, 'one'), join(source, 'sub', 'one too'));
  fs.symlinkSync('one', join(source, 'link'));
  fs.chmodSync(join(source, 'sub', 'deeper'), 0o550);
  for (const name of ['sub/two', 'link', 'empty', 'sub/deeper', 'sub', '.']) setEntryTimes(join(source, name), 1_600_000_000_111_222_333n);
}

function prepare({ kind, earlier }: Group, place: Harness, point: Point, index: number): Case {
  const directory = place.path(`case-${index}`);
  fs.mkdirSync(directory);
  const unknown = undefined as unknown as Case['run'];
  if (kind === 'restore') {
    if (earlier > 0) fs.cpSync(place.path('source'), join(directory, 'target', place.path('source')), { recursive: true });
    return { title: titleOf(point), point, directory, earlier: [], run: unknown };
  }
  initRepository(join(directory, 'repository'));
  const runs = Array.from({ length: earlier }, () => new SnapshotRun(place.directory, join(directory, 'repository'), [place.path('source')]));
  return { title: titleOf(point), point, directory, earlier: runs.map((run) => run.take().name), run: unknown };
}

async function start({ kind, isBad }: Group, place: Harness, { directory }: Case, index: number): Promise<Case['run']> {
  // The death of a worker takes none of the retries.
  const common = { maxRetries: index % 2 === 0 ? 0 : 3, retryDelayMs: 100, verifyFrom: 'cache' as const };
  if (kind === 'restore') return place.client.startRestoreSnapshot({ ...common, repository: place.path('repository'), target: join(directory, 'target') });
  const snapshot = { ...common, sources: [place.path(isBad === true ? 'missing' : 'source')], repository: join(directory, 'repository'), host: 'test-host' };
  if (kind === 'snapshot') return place.client.startBackupSnapshot(snapshot);
  const input = { snapshot, prune: { last: 1, tags: [] }, check: { readData: '100%' } };
  return place.temporal.workflow.start('scheduledSnapshot', { taskQueue: place.taskQueue, workflowId: `scheduled-${randomUUID()}`, args: [input, { workflowId: `snapshot-${randomUUID()}`, memo: {}, summary: 'test' }] });
}

/** What is wrong with listed snapshots. */
async function faultsIn(repository: string): Promise<readonly unknown[]> {
  const unreadable = listSnapshots(repository).filter(({ problem }) => problem !== undefined);
  return [...unreadable, ...(await check(repository)).problems];
}

function expectTaken(place: Harness, { directory, earlier }: Case, output: SnapshotOutput): void {
  expect(output).toMatchObject({ success: true, status: 'complete', files: 6, failedEntries: 0, rollback: 'notNeeded', errorCode: null, parent: earlier.at(-1) ?? null, unchangedFiles: earlier.length > 0 ? 4 : 0 });
  const repository = join(directory, 'repository');
  expect(snapshotNames(repository)).toEqual([...earlier, output.snapshot]);
  expect(exactTree(join(repository, output.snapshot ?? '', 'data', place.path('source')), { withTop: true })).toEqual(exactTree(place.path('source'), { withTop: true }));
}

function expectRestored(place: Harness, { directory }: Case, output: RestoreOutput): void {
  expect(output).toMatchObject({ success: true, failedEntries: 0, skippedEntries: 0, errorCode: null });
  expect(exactTree(join(directory, 'target', place.path('source')), { withTop: true })).toEqual(exactTree(place.path('source'), { withTop: true }));
  expect(fs.readdirSync(join(directory, 'target'))).toEqual([place.directory.split('/')[1]]);
}

function expectPruned(place: Harness, { directory, earlier }: Case, { snapshot, prune, check: checked }: ScheduledOutput): void {
  expect(snapshot).toMatchObject({ success: true, parent: earlier.at(-1) });
  expect(prune).toMatchObject({ keptSnapshots: 1, problems: 0 });
  expect(checked).toMatchObject({ snapshots: 1, problems: 0 });
  const repository = join(directory, 'repository');
  expect(snapshotNames(repository)).toEqual([snapshot.snapshot]);
  expect(exactTree(join(repository, snapshot.snapshot ?? '', 'data', place.path('source')), { withTop: true })).toEqual(exactTree(place.path('source'), { withTop: true }));
}
