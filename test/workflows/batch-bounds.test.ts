import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { BatchBackupOutput } from '../../src/batch-models';
import { PAUSE_UPDATE, RESUME_UPDATE, SET_LANES_UPDATE } from '../../src/core/names';
import { failure } from '../../src/failures';
import { backups, expectAddsUp, makeSources, outputOf, progressOf, startBatch, writeList } from '../helpers/batch';
import { keepChanging } from '../helpers/keep-changing';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { actionsOf, chainOf, largestPayloadOf, mostPendingOf } from '../helpers/history';
import { startServer, stopServer, type TestServer } from '../helpers/server';
import { registered, until } from '../helpers/target-state';

const KIB = 1024;

/** Events after which this file's own server suggests to continue as new. */
const SUGGESTED_EVENTS = 40;

let server: TestServer | undefined;
let harness: Harness | undefined;
let stopChanging = (): void => undefined;
let chunkFiles: string[] = [];

beforeAll(async () => {
  server = await startServer(process.env.TEST_TEMPORAL_CLI ?? '', ['--dynamic-config-value', `limit.historyCount.suggestContinueAsNew=${SUGGESTED_EVENTS}`]);
});
afterAll(() => stopServer(server?.supervisor));
afterEach(async () => {
  stopChanging();
  await harness?.remove();
});

/** On the server that suggests early, or on the one of all tests. */
async function harnessOn(where: 'early' | 'ordinary', inner?: Around): Promise<Harness> {
  const around: Around = async (step, attempt, next) => {
    const result = await (inner === undefined ? next() : inner(step, attempt, next));
    if (step === 'planBatch') for (const path of chunkFiles.splice(0)) writeFileSync(path, `short content of ${path}`);
    return result;
  };
  return (harness = await startHarness({ around, address: where === 'early' ? server?.address : undefined }));
}

/** Files that are so long when they are planned that each gets a chunk of its own, and short when they are copied. */
function makeChunks(place: Harness, count: number): string[] {
  chunkFiles = makeSources(place, count);
  for (const path of chunkFiles) truncateSync(path, 200 * KIB * KIB);
  return chunkFiles;
}

describe('payloads stay below 64 KiB', () => {
  test('with many failures of the longest paths, permanent and passing ones', async () => {
    const place = await harnessOn('ordinary');
    // Characters that take most as JSON: 4,000 bytes of path, 7,000 as text in a payload.
    const deep = place.path(...Array.from({ length: 16 }, (_, level) => String(level).padEnd(180, '\u0001"é')));
    const missing = Array.from({ length: 200 }, (_, index) => join(deep, `missing-${index}`));
    const handle = await startBatch(place, { sourceList: writeList(place, missing), layout: 'tree', maxRetries: 0 });
    const output = await outputOf(handle);
    expect(output).toMatchObject({ errorMessage: null, totalFiles: 200, failedFiles: 200 });
    expect(output.failureSample).toHaveLength(20);
    expect(largestPayloadOf(await chainOf(handle, place.temporal))).toBeLessThan(64 * KIB);
    expectAddsUp(output);
  });

  test('with files of long paths that fail in passing, of which each gets a saga', async () => {
    const place = await harnessOn('ordinary', async (step, _attempt, next) => {
      const result = await next();
      if (step === 'backupChunk') stopChanging();
      return result;
    });
    const folder = place.path(...Array.from({ length: 9 }, (_, level) => String(level).padEnd(120, 'é')), 'x');
    mkdirSync(folder, { recursive: true });
    const paths = Array.from({ length: 5 }, (_, index) => join(folder, `long-${index}`));
    stopChanging = keepChanging(paths);
    const handle = await startBatch(place, { sources: paths, layout: 'flat', lanes: 1 });
    const output = await outputOf(handle);
    expect(output).toMatchObject({ success: true, successfulFiles: 5 });
    const chain = await chainOf(handle, place.temporal);
    expect(chain[0]?.filter((event) => event.childWorkflowExecutionCompletedEventAttributes)).toHaveLength(5);
    expect(largestPayloadOf(chain)).toBeLessThan(64 * KIB);
  });
});

describe('a batch that continues as new', () => {
  test('keeps each execution\'s history below the suggestion and one drain, and its own counts', async () => {
    const place = await harnessOn('early');
    const sources = makeChunks(place, 30);
    const handle = await startBatch(place, { sourceList: writeList(place, [...sources, ...sources.map((path) => `${path}-missing`)]), lanes: 3 });
    const output = await outputOf(handle);
    expect(output).toMatchObject({ totalFiles: 60, successfulFiles: 30, failedFiles: 30, failuresByType: { SourceNotFound: 30 } });
    expect(output.failureSample).toHaveLength(20);
    expectAddsUp(output);
    const chain = await chainOf(handle, place.temporal);
    expect(chain.length).toBeGreaterThan(2);
    // One drain: what three lanes have under way, eight events each, and the end.
    for (const events of chain) expect(events.length).toBeLessThanOrEqual(SUGGESTED_EVENTS + 3 * 8 + 8);
  });

  test('is paused in the next execution too, with the lanes that were set, its counts and its failures', async () => {
    let resumed = false;
    const around: Around = async (step, _attempt, next) => {
      const result = await next();
      if (step === 'backupChunk' && !resumed) await until('the batch is paused', async () => (await progressOf(handle as WorkflowHandle)).state === 'paused' || resumed);
      return result;
    };
    let handle: WorkflowHandle | undefined = undefined as WorkflowHandle | undefined;
    const place = await harnessOn('early', around);
    handle = await startBatch(place, { sourceList: writeList(place, [place.path('missing'), ...makeChunks(place, 20)]), lanes: 1 });
    await until('a chunk is under way', async () => (await progressOf(handle)).current.length > 0);
    await handle.executeUpdate(SET_LANES_UPDATE, { args: [2] });
    // Updates make history grow while no chunk is started: the batch has to continue as new while it is paused.
    await handle.executeUpdate(PAUSE_UPDATE);
    await until('nothing is under way', async () => (await progressOf(handle)).current.length === 0);
    for (let count = 0; count < SUGGESTED_EVENTS / 5; count += 1) await place.temporal.workflow.getHandle(handle.workflowId).executeUpdate(SET_LANES_UPDATE, { args: [2 + (count % 2)] });
    const latest = place.temporal.workflow.getHandle(handle.workflowId);
    const { runId } = await latest.describe();
    expect(runId).not.toBe((handle as WorkflowHandle & { firstExecutionRunId: string }).firstExecutionRunId);
    const paused = await progressOf(latest);
    expect(paused).toMatchObject({ state: 'paused', failed: 1, sample: [{ type: 'SourceNotFound' }] });
    expect([2, 3]).toContain(paused.lanes);
    expect(paused.backedUp).toBeGreaterThan(0);
    resumed = true;
    await latest.executeUpdate(RESUME_UPDATE);
    const output = await outputOf(handle);
    expect(output).toMatchObject({ totalFiles: 21, successfulFiles: 20, failedFiles: 1 });
    expectAddsUp(output);
  });

  test('while it waits for its destination: the chunks that wait are taken up by the next execution', async () => {
    let failures = 0;
    const around: Around = (step, _attempt, next) => (step === 'backupChunk' && (failures += 1) <= 12 ? Promise.reject(failure('CircuitOpen', 'Made to fail', { retryAfterMs: 1000 })) : next());
    const place = await harnessOn('early', around);
    const handle = await startBatch(place, { sources: makeChunks(place, 4), lanes: 4, maxRetries: 0 });
    const output = await outputOf(handle);
    expect(output).toMatchObject({ success: true, successfulFiles: 4 });
    expectAddsUp(output);
    const chain = await chainOf(handle, place.temporal);
    expect(chain.length).toBeGreaterThan(1);
    for (const events of chain) expect(events.length).toBeLessThanOrEqual(SUGGESTED_EVENTS + 4 * 10 + 8);
  });

  test('and is cancelled in a later execution undoes what the earlier ones published', async () => {
    let chunks = 0;
    const around: Around = async (step, _attempt, next) => {
      const result = await next();
      if (step === 'backupChunk' && (chunks += 1) === 9) await harness?.temporal.workflow.getHandle((handle as WorkflowHandle).workflowId).cancel();
      return result;
    };
    let handle: WorkflowHandle | undefined = undefined as WorkflowHandle | undefined;
    const place = await harnessOn('early', around);
    handle = await startBatch(place, { sources: makeChunks(place, 20), lanes: 1, onFailure: 'rollBack' });
    const output = await outputOf(handle);
    expect(output).toMatchObject({ errorCode: 'Cancelled', rollback: 'performed', totalFiles: 20 });
    expect(backups(place)).toEqual([]);
    expect((await chainOf(handle, place.temporal)).length).toBeGreaterThan(1);
  });

  test('is let alone by a janitor while it goes on, and ended by it once it was terminated', async () => {
    let [chunks, released] = [0, false];
    const around: Around = async (step, _attempt, next) => {
      if (step === 'backupChunk' && (chunks += 1) > 12) await until('the test goes on', () => released);
      return next();
    };
    const place = await harnessOn('early', around);
    const handle = await startBatch(place, { sources: makeChunks(place, 20), lanes: 1, onFailure: 'rollBack' });
    await until('the batch has continued as new', () => chunks > 12);
    const latest = place.temporal.workflow.getHandle(handle.workflowId);
    expect((await latest.describe()).runId).not.toBe((handle as WorkflowHandle & { firstExecutionRunId: string }).firstExecutionRunId);
    await (await startHarness({ like: place, address: server?.address })).stop();
    expect([backups(place).length, registered(place).length]).toEqual([12, 1]);
    await latest.terminate('for the test');
    released = true;
    await place.stop();
    await (await startHarness({ like: place, address: server?.address })).stop();
    expect([backups(place), registered(place)]).toEqual([[], []]);
  });
});

test('1,000 files cost at most 8 Temporal actions, heartbeats aside, and several lanes stay far below the pending limits', async () => {
  const place = await harnessOn('ordinary');
  const handle = await startBatch(place, { sourceList: writeList(place, makeSources(place, 8000)), lanes: 8, verifyFrom: 'cache' });
  const output: BatchBackupOutput = await outputOf(handle);
  expect(output).toMatchObject({ success: true, successfulFiles: 8000 });
  const chain = await chainOf(handle, place.temporal);
  const actions = chain.reduce((sum, events) => sum + actionsOf(events), 0);
  expect(actions).toBeLessThanOrEqual(8 * 8);
  // Start, plan and end come once.
  expect(actions - 3).toBeLessThanOrEqual(2 * 8);
  expect(mostPendingOf(chain[0] ?? [])).toBeLessThanOrEqual(8);
});
