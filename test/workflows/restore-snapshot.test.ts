import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { ApplicationFailure } from '@temporalio/common';
import { TargetBusyError } from '../../src/client';
import { noSums } from '../../src/core/batch-sums';
import { RestoreInput, type RestoreOutput, type RestoreRequest } from '../../src/restore-models';
import { chunkLimits } from '../../src/storage/batch/chunked-lines';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { exactTree } from '../helpers/exact-tree';
import { damage } from '../helpers/files';
import { makeHostileTree } from '../helpers/hostile-tree';
import { chainOf } from '../helpers/history';
import { startServer, stopServer, type TestServer } from '../helpers/server';
import { copyOf, makeRepository, published, repositoryOf, requestOf, sourceOf, writeSource } from '../helpers/snapshot';
import { registered, until } from '../helpers/target-state';
import { startPlace } from '../helpers/worker-process';

let harness: Harness;
const releases: (() => void)[] = [];

afterEach(async () => {
  releases.splice(0).forEach((release) => release());
  await harness?.remove();
});

function restoreOf(request: Partial<RestoreRequest> = {}): RestoreRequest {
  return { repository: repositoryOf(harness), target: harness.path('target'), retryDelayMs: 100, verifyFrom: 'cache', ...request };
}

const restored = (...names: string[]): string => join(harness.path('target'), sourceOf(harness, ...names));

/** A snapshot of these files. */
async function takeSnapshot(names: readonly string[]): Promise<string> {
  makeRepository(harness, names);
  const { snapshot } = await harness.client.backupSnapshot(requestOf(harness));
  return snapshot ?? 'none';
}

/** Nothing but what was asked for: nothing of the run itself. */
function expectNothingLeft(): void {
  const names = existsSync(harness.path('target')) ? Object.keys(exactTree(harness.path('target'))) : [];
  expect({ own: names.filter((name) => name.includes('.file-backup')), registered: registered(harness) }).toEqual({ own: [], registered: [] });
}

/** More files than two chunks have. */
const MANY = Array.from({ length: 2 * chunkLimits.firstFiles + 200 }, (_, index) => `${index % 5}/file-${String(index).padStart(4, '0')}`);

test('a restored tree is the one that the snapshot was taken of, and a second restore finds it unchanged', async () => {
  harness = await startHarness();
  makeRepository(harness);
  makeHostileTree(sourceOf(harness));
  const tree = exactTree(sourceOf(harness), { withTop: true });
  const { snapshot } = await harness.client.backupSnapshot(requestOf(harness));
  const output = await harness.client.restoreSnapshot(restoreOf({ verifyFrom: 'device', withOwners: true }));
  expect(output).toMatchObject({ success: true, snapshot, failedEntries: 0, skippedEntries: 0, unchangedEntries: 0, errorCode: null, failuresPath: null });
  expect(exactTree(restored(), { withTop: true })).toEqual(tree);
  expect(output.entries).toBe(output.restoredEntries);
  expect(await harness.client.restoreSnapshot(restoreOf({ withOwners: true }))).toMatchObject({ success: true, restoredEntries: 0, failedEntries: 0, skippedEntries: 0, restoredBytes: 0, rightsLeftOut: 0 });
  expect(exactTree(restored(), { withTop: true })).toEqual(tree);
  expectNothingLeft();
});

test('what was asked for is restored, of the snapshot that was named, and nothing else', async () => {
  harness = await startHarness();
  const first = await takeSnapshot(['a', 'sub/b', 'sub/c', 'sub.x']);
  writeSource(harness, 'sub/b', 'later content');
  await harness.client.backupSnapshot(requestOf(harness));
  const output = await harness.client.restoreSnapshot(restoreOf({ snapshot: first, paths: [sourceOf(harness, 'sub')] }));
  expect(output).toMatchObject({ success: true, snapshot: first, failedEntries: 0, skippedEntries: 0 });
  expect(Object.keys(exactTree(restored()))).toEqual(['sub', 'sub/b', 'sub/c']);
  expect(readFileSync(restored('sub', 'b'), 'utf8')).toContain('content of sub/b');
  expectNothingLeft();
});

test('a damaged copy is refused, what was there stays, everything else is restored, and the record is partial', async () => {
  harness = await startHarness();
  const snapshot = await takeSnapshot(['a', 'b', 'sub/c']);
  damage(join(copyOf(harness, snapshot), 'b'), 3);
  mkdirSync(restored(), { recursive: true });
  writeFileSync(restored('b'), 'what was there');
  const run = await harness.client.startRestoreSnapshot(restoreOf({ maxRetries: 1 }));
  const output = await run.result();
  expect(output).toMatchObject({ success: false, errorCode: null, failedEntries: 1, failuresByType: { SnapshotDamaged: 1 }, failureSample: [{ path: sourceOf(harness, 'b'), type: 'SnapshotDamaged' }] });
  expect(output.restoredEntries + output.unchangedEntries + output.failedEntries + output.skippedEntries).toBe(output.entries);
  expect((await harness.client.describe(run.workflowId)).state).toBe('partial');
  expect(['a', 'b', 'sub/c'].map((name) => readFileSync(restored(name), 'utf8').slice(0, 14))).toEqual(['content of a c', 'what was there', 'content of sub']);
  expectNothingLeft();
});

test('a snapshot whose list is damaged is refused before anything is written', async () => {
  harness = await startHarness();
  const snapshot = await takeSnapshot(['a']);
  damage(join(repositoryOf(harness), snapshot, 'metadata.ndjson'), 20);
  expect(await harness.client.restoreSnapshot(restoreOf({ maxRetries: 0 }))).toMatchObject({ success: false, errorCode: 'SnapshotDamaged', restoredEntries: 0 });
  expect(existsSync(restored())).toBe(false);
});

test.each([
  ['a repository that is not there', () => ({ repository: harness.path('none') }), 'RepositoryNotFound'],
  ['a snapshot that is not there', () => ({ snapshot: 'nobody' }), 'SnapshotNotFound'],
  ['a path that is not in it', () => ({ paths: ['/nobody'] }), 'InvalidInput'],
  ['a target outside the roots', () => ({ target: '/elsewhere' }), 'TargetNotAllowed'],
  ['a target inside the repository', () => ({ target: join(repositoryOf(harness), 'target') }), 'TargetInsideRepository'],
  ['a repository outside the roots', () => ({ repository: '/elsewhere' }), 'SourceNotAllowed'],
])('%s is refused, and nothing is created', async (_what, request, errorCode) => {
  harness = await startHarness();
  await takeSnapshot(['a']);
  const before = exactTree(harness.directory);
  expect(await harness.client.restoreSnapshot(restoreOf({ maxRetries: 0, ...request() }))).toMatchObject({ success: false, errorCode, restoredEntries: 0 });
  expect(Object.keys(exactTree(harness.directory))).toEqual(Object.keys(before));
});

test('a cancelled restore keeps what is complete, says what it did not get to, and leaves nothing of its own', async () => {
  const around: Around = async (step, _attempt, next) => {
    const result = await next();
    if (step === 'restoreChunk' && isCancelling) await harness.client.cancel(workflowId);
    return result;
  };
  let isCancelling = true;
  harness = await startHarness({ around });
  await takeSnapshot(MANY);
  const before = exactTree(sourceOf(harness));
  const run = await harness.client.startRestoreSnapshot(restoreOf({ lanes: 1 }));
  const { workflowId } = run;
  const output = await run.result();
  expect(output).toMatchObject({ success: false, errorCode: 'Cancelled', failedEntries: 0, snapshot: published(harness)[0] });
  expect(output.restoredEntries).toBeGreaterThanOrEqual(chunkLimits.firstFiles);
  expect(output.skippedEntries).toBeGreaterThan(0);
  expect(output.restoredEntries + output.unchangedEntries + output.failedEntries + output.skippedEntries).toBe(output.entries);
  const files = Object.entries(exactTree(restored())).filter(([, text]) => text.startsWith('file'));
  expect(files.length).toBeGreaterThanOrEqual(chunkLimits.firstFiles);
  expect(files.filter(([name, text]) => before[name] !== text)).toEqual([]);
  expectNothingLeft();
  // The same again completes it, and copies nothing twice.
  const [name = ''] = files[0] ?? [];
  const inode = statSync(restored(name)).ino;
  isCancelling = false;
  expect(await harness.client.restoreSnapshot(restoreOf())).toMatchObject({ success: true });
  expect(exactTree(restored(), { withTop: true })).toEqual(exactTree(sourceOf(harness), { withTop: true }));
  expect(statSync(restored(name)).ino).toBe(inode);
});

test('an equal restore attaches to the one that is under way, and another one to the same directory is refused', async () => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => releases.push((release = resolve)));
  harness = await startHarness({ around: async (step, _attempt, next) => (step === 'restoreChunk' && (await held), next()) });
  await takeSnapshot(['a']);
  const run = await harness.client.startRestoreSnapshot(restoreOf());
  expect(await harness.client.startRestoreSnapshot(restoreOf())).toMatchObject({ attached: true, runId: run.runId });
  await expect(harness.client.startRestoreSnapshot(restoreOf({ overwrite: 'never' }))).rejects.toThrow(TargetBusyError);
  release();
  expect(await run.result()).toMatchObject({ success: true });
  expectNothingLeft();
});

test('a snapshot that is pruned away while it is restored fails what is not restored yet, by name', async () => {
  const around: Around = async (step, _attempt, next) => {
    const result = await next();
    if (step === 'planRestore') renameSync(join(repositoryOf(harness), published(harness)[0] ?? ''), harness.path('gone'));
    return result;
  };
  harness = await startHarness({ around });
  await takeSnapshot(['a', 'b']);
  const output = await harness.client.restoreSnapshot(restoreOf({ maxRetries: 0 }));
  expect(output.success).toBe(false);
  expect(output.restoredEntries).toBeLessThan(output.entries);
  expect(existsSync(restored('a'))).toBe(false);
  expectNothingLeft();
});

describe('a forged state of an earlier execution is refused', () => {
  /** As `planRestore` answers it. */
  async function startForged(forged: { location?: object; snapshot?: string; input?: object }, chunks: number): Promise<WorkflowHandle> {
    const request = RestoreInput.parse(restoreOf({ maxRetries: 0, lanes: 1 }));
    const input = { ...withoutPaths(request), ...forged.input };
    const location = { destination: harness.path('target'), runId: randomUUID(), ...forged.location };
    const ground = { destination: { path: '/', device: '0', inode: '0' }, missingDirectories: [] };
    const batch = { input, location, snapshot: forged.snapshot ?? published(harness)[0], ground, files: 1, sizeBytes: 1, chunks, rootAttributes: null };
    const carried = { ...noSums(), startedAtMs: Date.now(), batch, nextChunk: 0, returned: [], paused: false, lanes: 1, retryCount: 0, waitedMs: 0 };
    return harness.temporal.workflow.start('restoreSnapshot', { taskQueue: harness.taskQueue, workflowId: `restore-${randomUUID()}`, args: [request, carried] });
  }

  function withoutPaths({ paths: _paths, ...input }: RestoreInput): Omit<RestoreInput, 'paths'> {
    return input;
  }

  async function failureOf(handle: WorkflowHandle): Promise<RestoreOutput> {
    const error: unknown = await handle.result().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof WorkflowFailedError)) throw new Error('The restore did not fail');
    return (error.cause as ApplicationFailure).details?.[0] as RestoreOutput;
  }

  describe.each([['its first chunk', 1], ['its end', 0]] as const)('by %s:', (_what, chunks) => {
    test.each([
      ['a target outside the roots', () => ({ location: { destination: '/elsewhere' } }), 'TargetNotAllowed'],
      ['a target that leads out of the roots', () => ({ location: { destination: `${harness.directory}/../elsewhere` } }), 'InvalidInput'],
      ['a run that leads out of its target', () => ({ location: { runId: '../../elsewhere' } }), 'InvalidInput'],
      ['a run that is not the one that asks', () => ({}), 'NotOwnRun'],
      ['a snapshot that leads out of the repository', () => ({ snapshot: '../source' }), 'InvalidInput'],
    ])('%s', async (_which, forged, errorCode) => {
      harness = await startHarness();
      await takeSnapshot(['a']);
      const before = exactTree(harness.directory);
      expect(await failureOf(await startForged(forged(), chunks))).toMatchObject({ success: false, errorCode });
      expect(exactTree(harness.directory)).toEqual(before);
    });
  });
});

describe('a restore that continues as new', () => {
  let server: TestServer | undefined;

  beforeAll(async () => {
    server = await startServer(process.env.TEST_TEMPORAL_CLI ?? '', ['--dynamic-config-value', 'limit.historyCount.suggestContinueAsNew=10']);
  });
  afterAll(() => stopServer(server?.supervisor));

  test('restores everything once', async () => {
    harness = await startHarness({ address: server?.address });
    await takeSnapshot(MANY);
    const run = await harness.client.startRestoreSnapshot(restoreOf({ lanes: 1, paths: [sourceOf(harness)] }));
    const output = await run.result();
    expect(output).toMatchObject({ success: true, unchangedEntries: 0, failedEntries: 0, skippedEntries: 0 });
    expect(output.restoredEntries).toBe(output.entries);
    const handle = Object.assign(harness.temporal.workflow.getHandle(run.workflowId), { firstExecutionRunId: run.firstRunId });
    expect((await chainOf(handle, harness.temporal)).length).toBeGreaterThan(1);
    expect(exactTree(restored(), { withTop: true })).toEqual(exactTree(sourceOf(harness), { withTop: true }));
    expectNothingLeft();
  });
});

test('a restore that was terminated is cleaned up by the next worker, and what it restored stays', async () => {
  const place = await startPlace();
  harness = place;
  let reach = (): void => undefined;
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const held = new Promise<void>((resolve) => releases.push(resolve));
  const worker = await startHarness({
    like: place,
    around: async (step, _attempt, next) => {
      if (step !== 'finishRestore') return next();
      reach();
      await held;
      return next();
    },
  });
  await takeSnapshot(['a', 'sub/b']);
  const run = await place.client.startRestoreSnapshot(restoreOf());
  await reached;
  await place.temporal.workflow.getHandle(run.workflowId).terminate('for the test');
  releases.splice(0).forEach((release) => release());
  await worker.stop();
  const next = await startHarness({ like: place });
  await until('the worker has swept', () => registered(place).length === 0);
  await next.stop();
  expect(readFileSync(restored('sub', 'b'), 'utf8')).toContain('content of sub/b');
  expectNothingLeft();
});
