import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import type { WorkflowHandle } from '@temporalio/client';
import { backups, expectAddsUp, makeSources, outputOf, runBatch, startBatch, targetOf, writeList } from '../helpers/batch';
import { keepChanging } from '../helpers/keep-changing';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';

let harness: Harness;
let stopChanging = (): void => undefined;

afterEach(async () => {
  stopChanging();
  await harness?.remove();
});

/** Counts attempts at chunks, and calls back after each. */
function countingChunks(after: (count: number) => void = () => undefined): { readonly around: Around; readonly count: () => number } {
  let count = 0;
  const around: Around = async (step, _attempt, next) => {
    const result = await next();
    if (step === 'backupChunk') after((count += 1));
    return result;
  };
  return { around, count: () => count };
}

async function childrenOf(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter((event) => Boolean(event.startChildWorkflowExecutionInitiatedEventAttributes)).length;
}

describe('all or nothing', () => {
  test('a file that fails in passing is tried again, in a second pass and not in a saga that would commit it', async () => {
    const passes = countingChunks((count) => count === 1 && stopChanging());
    harness = await startHarness({ around: passes.around });
    const sources = [...makeSources(harness, 10), ...makeSources(harness, 1, 'large')];
    stopChanging = keepChanging(sources.slice(-1));
    const handle = await startBatch(harness, { sources, onFailure: 'rollBack' });
    const output = await outputOf(handle);
    expect(output).toMatchObject({ success: true, totalFiles: 11, successfulFiles: 11, rollback: 'notNeeded' });
    expect(output.retryCount).toBeGreaterThan(0);
    expect([passes.count(), await childrenOf(handle)]).toEqual([2, 0]);
    for (const source of sources) expect(readFileSync(targetOf(harness, source)).equals(readFileSync(source))).toBe(true);
    expectAddsUp(output);
  });

  test('a file that goes on failing takes all back after as many passes as the input says, kept previous targets included', async () => {
    const passes = countingChunks();
    harness = await startHarness({ around: passes.around });
    const sources = [...makeSources(harness, 10), ...makeSources(harness, 1, 'large')];
    mkdirSync(harness.path('backups'));
    const [replaced = ''] = sources;
    writeFileSync(targetOf(harness, replaced), 'previous', { mode: 0o604 });
    const before = statSync(targetOf(harness, replaced), { bigint: true });
    stopChanging = keepChanging(sources.slice(-1));
    const output = await runBatch(harness, { sources, onFailure: 'rollBack', maxRetries: 2 });
    expect(output).toMatchObject({ success: false, errorCode: 'SourceChanged', rollback: 'performed', successfulFiles: 0, retryCount: 2 });
    expect(passes.count()).toBe(3);
    expect(backups(harness)).toEqual(['file-00000.backup']);
    expect(readFileSync(targetOf(harness, replaced), 'utf8')).toBe('previous');
    expect(statSync(targetOf(harness, replaced), { bigint: true }).ino).toBe(before.ino);
    expectAddsUp(output);
  });
});

test('many files that fail in passing are tried again together, without sagas', async () => {
  const passes = countingChunks((count) => count === 1 && stopChanging());
  harness = await startHarness({ around: passes.around });
  const sources = [...makeSources(harness, 10), ...makeSources(harness, 30, 'large')];
  stopChanging = keepChanging(sources.slice(10));
  const handle = await startBatch(harness, { sources });
  const output = await outputOf(handle);
  expect(output).toMatchObject({ success: true, totalFiles: 40, successfulFiles: 40, failedFiles: 0 });
  expect([passes.count(), await childrenOf(handle)]).toEqual([2, 0]);
  expectAddsUp(output);
});

test('a name that is no text is tried again in its chunk, never under another name', async () => {
  const passes = countingChunks((count) => count === 1 && stopChanging());
  harness = await startHarness({ around: passes.around });
  const [text = ''] = makeSources(harness, 1, 'large');
  const bytes = Buffer.concat([Buffer.from(harness.path('large')), Buffer.from('/no-'), Buffer.from([0xff, 0xfe]), Buffer.from('-text')]);
  renameSync(text, bytes);
  stopChanging = keepChanging([bytes]);
  const handle = await startBatch(harness, { sourceList: writeList(harness, [bytes, ...makeSources(harness, 3)]) });
  const output = await outputOf(handle);
  expect(output).toMatchObject({ success: true, totalFiles: 4, successfulFiles: 4 });
  expect([passes.count(), await childrenOf(handle)]).toEqual([2, 0]);
  expectAddsUp(output);
});

test('a name that is no text and goes on failing is a failed file with its own failure', async () => {
  harness = await startHarness();
  const [text = ''] = makeSources(harness, 1, 'large');
  const bytes = Buffer.concat([Buffer.from(harness.path('large')), Buffer.from([0x2f, 0xff])]);
  renameSync(text, bytes);
  stopChanging = keepChanging([bytes]);
  const output = await runBatch(harness, { sourceList: writeList(harness, [bytes, ...makeSources(harness, 3)]), maxRetries: 1 });
  expect(output).toMatchObject({ success: false, successfulFiles: 3, failedFiles: 1, failuresByType: { SourceChanged: 1 } });
  expect(output.failureSample[0]?.path).toContain('\\xff');
  expectAddsUp(output);
});
