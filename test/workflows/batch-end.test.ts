import { existsSync } from 'node:fs';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { PAUSE_UPDATE } from '../../src/core/names';
import { failure } from '../../src/failures';
import { backups, expectAddsUp, makeSources, outputOf, progressOf, recordFiles, recordOf, runBatch, startBatch, targetOf, writeList } from '../helpers/batch';
import { keepChanging } from '../helpers/keep-changing';
import { chunkLimits } from '../../src/storage/batch/chunked-lines';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { registered, until } from '../helpers/target-state';

/** Files of the first chunks of a list. */
const CHUNK = chunkLimits.firstFiles;

let harness: Harness;
let stopChanging = (): void => undefined;

afterEach(async () => {
  stopChanging();
  await harness?.remove();
});

/** Lets the sagas of files stand at their first step until they are released or cancelled. */
function holdSagas(most = Infinity) {
  let [held, mostHeld, passed, passing, released] = [0, 0, 0, 0, false];
  const around: Around = async (step, _attempt, next) => {
    if (step === 'backupChunk') {
      const result = (await next()) as { passing: number };
      stopChanging();
      passing += result.passing;
      return result;
    }
    if (step !== 'inspectFile') return next();
    if ((passed += 1) > most) await standStill();
    return next();
  };
  async function standStill(): Promise<void> {
    const context = Context.current();
    mostHeld = Math.max(mostHeld, (held += 1));
    const heartbeat = setInterval(() => context.heartbeat(), 100);
    try {
      await Promise.race([context.cancelled, until('the sagas are released', () => released || context.cancellationSignal.aborted)]);
      if (!released) await context.cancelled;
    } finally {
      clearInterval(heartbeat);
      held -= 1;
    }
  }
  return { around, release: () => void (released = true), held: () => held, mostHeld: () => mostHeld, failedFirst: () => passing };
}

/** So many small files, of which the first few are large and keep changing until their chunk has been tried once. */
function makeChanging(changing: number, count: number): string[] {
  const sources = makeSources(harness, count);
  stopChanging = keepChanging(sources.slice(0, changing));
  return sources;
}

async function expectCancelled(handle: WorkflowHandle): Promise<void> {
  await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
  expect((await handle.describe()).status.name).toBe('CANCELLED');
}

describe('files that failed in passing', () => {
  test('have their sagas four at a time, and the lane goes on with its next chunks meanwhile', async () => {
    const sagas = holdSagas(0);
    harness = await startHarness({ around: sagas.around });
    const sources = makeChanging(10, 3 * CHUNK);
    const handle = await startBatch(harness, { sourceList: writeList(harness, sources), lanes: 1 });
    await until('the other chunks are finished', async () => (await progressOf(handle)).finishedChunks === 2);
    expect(await progressOf(handle)).toMatchObject({ state: 'running', current: [0], backedUp: 2 * CHUNK, failed: 0 });
    await until('four sagas are under way', () => sagas.held() === 4);
    sagas.release();
    const output = await outputOf(handle);
    expect(output).toMatchObject({ success: true, successfulFiles: 3 * CHUNK, failedFiles: 0 });
    expect(sagas.mostHeld()).toBe(4);
    expectAddsUp(output);
  });

  test('are failed ones when the batch is cancelled before their sagas are over, and those that were over count as backed up', async () => {
    const sagas = holdSagas(3);
    harness = await startHarness({ around: sagas.around });
    const sources = makeChanging(10, 20);
    const handle = await startBatch(harness, { sources });
    await until('three sagas are over and four more are under way', () => sagas.held() === 4);
    // On a busy machine one or the other is copied between two of its changes.
    const good = 20 - sagas.failedFirst() + 3;
    await until('three targets are published', () => backups(harness).length === good);
    await handle.cancel();
    await expectCancelled(handle);
    const output = await outputOf(handle);
    expect(output).toMatchObject({ errorCode: 'Cancelled', successfulFiles: good, failedFiles: 20 - good, skippedFiles: 0, failuresByType: { SourceChanged: 20 - good } });
    expectAddsUp(output);
    expect(harness.leftovers()).toEqual([]);
    expect(registered(harness)).toEqual([]);
    const { workflowExecutionInfo } = (await handle.describe()).raw;
    expect(workflowExecutionInfo?.status).toBe(4);
  });

  test('end with the batch when another chunk ends it', async () => {
    const sagas = holdSagas(0);
    const around: Around = async (step, attempt, next) => {
      if (step !== 'backupChunk' || !Context.current().info.activityId) return sagas.around(step, attempt, next);
      const result = (await sagas.around(step, attempt, next)) as { counts: { failed: number } };
      if (result.counts.failed > 0) return result;
      await until('sagas are under way', () => sagas.held() > 0);
      throw failure('DestinationReadOnly', 'Made to fail');
    };
    harness = await startHarness({ around });
    const sources = makeChanging(5, 1500);
    const output = await runBatch(harness, { sourceList: writeList(harness, sources), lanes: 1 });
    expect(output).toMatchObject({ errorCode: 'DestinationReadOnly', failedFiles: 5 });
    expect(sagas.held()).toBe(0);
    expectAddsUp(output);
    expect(harness.leftovers()).toEqual([]);
  });

  test('of which one is just being backed up by somebody else are TargetBusy', async () => {
    const sagas = holdSagas(0);
    harness = await startHarness({ around: sagas.around });
    const [source = '', ...others] = makeChanging(1, 5);
    const single = await harness.client.startBackupFile({ sourcePath: others[0] ?? '', backupPath: targetOf(harness, source) });
    await until('the other backup is under way', () => sagas.held() === 1);
    const output = await runBatch(harness, { sources: [source, ...others] });
    expect(output).toMatchObject({ successfulFiles: 4, failedFiles: 1, failuresByType: { TargetBusy: 1 } });
    expectAddsUp(output);
    sagas.release();
    await single.result();
  });
});

describe('a batch that is cancelled', () => {
  test('while it is planned leaves nothing', async () => {
    const around: Around = async (step, _attempt, next) => {
      const result = await next();
      if (step !== 'planBatch') return result;
      const context = Context.current();
      const heartbeat = setInterval(() => context.heartbeat(), 100);
      return context.cancelled.finally(() => clearInterval(heartbeat));
    };
    harness = await startHarness({ around });
    const handle = await startBatch(harness, { sources: makeSources(harness, 3) });
    await until('the plan is written', () => registered(harness).length === 1 && existsSync(harness.path('backups')));
    expect(await progressOf(handle)).toMatchObject({ state: 'planning', files: 0 });
    await handle.cancel();
    await expectCancelled(handle);
    expect(await outputOf(handle)).toMatchObject({ errorCode: 'Cancelled', totalFiles: 0, runDirectory: '' });
    expect(existsSync(harness.path('backups'))).toBe(false);
    expect(registered(harness)).toEqual([]);
  });

  test.each(['continue', 'rollBack'] as const)('while it is paused accounts for every file (on failure: %s)', async (onFailure) => {
    let finished = 0;
    const around: Around = async (step, _attempt, next) => {
      if (step === 'backupChunk' && finished > 0) await until('the batch is paused', async () => (await progressOf(handle as WorkflowHandle)).state === 'paused');
      const result = await next();
      if (step === 'backupChunk') finished += 1;
      return result;
    };
    let handle: WorkflowHandle | undefined = undefined as WorkflowHandle | undefined;
    harness = await startHarness({ around });
    handle = await startBatch(harness, { sourceList: writeList(harness, makeSources(harness, 4 * CHUNK)), lanes: 1, onFailure });
    await until('a chunk is finished', () => finished === 1);
    await handle.executeUpdate(PAUSE_UPDATE);
    await until('nothing is under way', async () => (await progressOf(handle)).current.length === 0);
    await handle.cancel();
    await expectCancelled(handle);
    const output = await outputOf(handle);
    // The pause may have come before or after the lane took its next chunk.
    const kept = onFailure === 'continue' ? finished * CHUNK : 0;
    expect(output).toMatchObject({ errorCode: 'Cancelled', totalFiles: 4 * CHUNK, successfulFiles: kept, skippedFiles: 4 * CHUNK - kept, failedFiles: 0, rollback: kept > 0 ? 'notNeeded' : 'performed' });
    expect(backups(harness)).toHaveLength(kept);
    expect(recordOf(output, 'failures.ndjson').length).toBeGreaterThan(0);
  });

  test('while it waits for an ill destination accounts for every file', async () => {
    const around: Around = (step, _attempt, next) => (step === 'backupChunk' ? Promise.reject(failure('DestinationGone', 'Made to fail')) : next());
    harness = await startHarness({ around });
    const handle = await startBatch(harness, { sources: makeSources(harness, 5), maxRetries: 0 });
    await until('the batch waits', async () => (await progressOf(handle)).state === 'waiting');
    expect((await progressOf(handle)).waitingFor).toMatch(/^destination ill, next try at .*: Made to fail/);
    await handle.cancel();
    await expectCancelled(handle);
    const output = await outputOf(handle);
    expect(output).toMatchObject({ errorCode: 'Cancelled', totalFiles: 5, skippedFiles: 5, successfulFiles: 0 });
    expectAddsUp(output);
  });

  test('while its end is written is not half undone', async () => {
    const around: Around = async (step, _attempt, next) => {
      if (step === 'sealRun') await (handle as WorkflowHandle).cancel();
      return next();
    };
    let handle: WorkflowHandle | undefined = undefined as WorkflowHandle | undefined;
    harness = await startHarness({ around });
    handle = await startBatch(harness, { sources: makeSources(harness, 5), onFailure: 'rollBack' });
    const output = await outputOf(handle);
    expect(output).toMatchObject({ success: true, successfulFiles: 5, rollback: 'notNeeded' });
    expect(backups(harness)).toHaveLength(5);
    expectAddsUp(output);
  });
});

describe('a batch whose undo cannot finish', () => {
  test('says so, and keeps what it needs for another try', async () => {
    const around: Around = (step, _attempt, next) => (step === 'undoChunks' ? Promise.reject(failure('PermissionDenied', 'Made to fail')) : next());
    harness = await startHarness({ around });
    const output = await runBatch(harness, { sources: [...makeSources(harness, 3), harness.path('sources', 'missing')], onFailure: 'rollBack' });
    expect(output).toMatchObject({ errorCode: 'RollbackFailed', rollback: 'failed', totalFiles: 4 });
    expect(output.successfulFiles + output.failedFiles + output.skippedFiles).toBe(4);
    expect(existsSync(`${output.runDirectory}/staging.revoked`)).toBe(true);
    expect(registered(harness)).toHaveLength(1);
    // The next worker's janitor finds it closed, and undoes it.
    await harness.stop();
    const second = await startHarness({ like: harness });
    await second.stop();
    expect(backups(harness)).toEqual([]);
    expect(registered(harness)).toEqual([]);
    expect(recordFiles.every((name) => existsSync(`${output.runDirectory}/${name}`))).toBe(true);
  });
});

test.each([undefined, null, 'text', { sources: 5 }, { backupDir: '/x', lanes: 'many' }])('input that is %j fails as InvalidInput, and no workflow task does', async (input) => {
  harness = await startHarness();
  const handle = await harness.temporal.workflow.start('backupBatch', { taskQueue: harness.taskQueue, workflowId: `batch-${harness.taskQueue}`, args: [input] });
  expect(await outputOf(handle)).toMatchObject({ errorCode: 'InvalidInput', totalFiles: 0 });
});
