import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backups, makeSources, outputOf, startBatch, targetOf, writeList } from '../helpers/batch';
import { chunkLimits } from '../../src/storage/batch/chunked-lines';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { incoming, makeRepository, published, requestOf } from '../helpers/snapshot';

const CHUNK = chunkLimits.firstFiles;
let harness: Harness;

afterEach(() => harness?.remove());

/** Does something to the run's directory before a step, the first time. */
function before(step: string, calls: (run: string) => void, area = ['backups', '.file-backup', 'runs']): Around {
  let isDone = false;
  return async (current, _attempt, next) => {
    if (current === step && !isDone) {
      isDone = true;
      const runs = harness.path(...area);
      calls(join(runs, readdirSync(runs)[0] ?? ''));
    }
    return next();
  };
}

const journals = (run: string): string[] => readdirSync(join(run, 'journal')).sort().map((name) => join(run, 'journal', name));

function edit(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, 'utf8')));
}

describe('a batch whose own files somebody changes while it runs fails as a whole, permanently', () => {
  test('its plan, before the first chunk: nothing of it is copied', async () => {
    harness = await startHarness({ around: before('backupChunk', (run) => edit(join(run, 'plan', 'plan.ndjson'), (text) => text.replaceAll('file-00001', 'file-00002'))) });
    const output = await outputOf(await startBatch(harness, { sources: makeSources(harness, 5) }));
    expect(output).toMatchObject({ success: false, errorCode: 'RunAltered', successfulFiles: 0, retryCount: 0 });
    expect(output.errorMessage).toContain(join(output.runDirectory, 'plan'));
    expect(backups(harness)).toEqual([]);
  });

  test('a journal, before the end: no record says what is not so', async () => {
    harness = await startHarness({ around: before('sealRun', (run) => edit(journals(run)[0] ?? '', (text) => text.replace('"backedUp"', '"unchanged"'))) });
    const output = await outputOf(await startBatch(harness, { sources: makeSources(harness, 5) }));
    expect(output).toMatchObject({ success: false, errorCode: 'RunAltered' });
    expect(existsSync(join(output.runDirectory, 'manifest.ndjson'))).toBe(false);
  });

  test('a journal that is taken away, before the end: its files are not taken for skipped ones', async () => {
    harness = await startHarness({ around: before('sealRun', (run) => rmSync(journals(run)[1] ?? '')) });
    const output = await outputOf(await startBatch(harness, { sourceList: writeList(harness, makeSources(harness, 2 * CHUNK)), lanes: 1 }));
    expect(output).toMatchObject({ success: false, errorCode: 'RunAltered', successfulFiles: 2 * CHUNK });
  });

  test('a journal, before undo: nothing is undone by it, and what undo needs stays', async () => {
    harness = await startHarness({ around: before('undoChunks', (run) => edit(journals(run)[0] ?? '', (text) => text.slice(65))) });
    const sources = makeSources(harness, CHUNK);
    const output = await outputOf(await startBatch(harness, { sourceList: writeList(harness, [...sources, harness.path('missing')]), onFailure: 'rollBack', lanes: 1, maxRetries: 0 }));
    expect(output).toMatchObject({ success: false, errorCode: 'RollbackFailed', rollback: 'failed' });
    expect(existsSync(targetOf(harness, sources[0] ?? ''))).toBe(true);
    expect(existsSync(join(output.runDirectory, 'staging.revoked'))).toBe(true);
  });

  test('its summary, before undo: it is not taken for committed', async () => {
    const summary = { formatVersion: 1, summary: { files: 1, backedUp: 1, unchanged: 0, failed: 0, skipped: 0, changed: 0, sizeBytes: 1 } };
    harness = await startHarness({ around: before('revokeRun', (run) => writeFileSync(join(run, 'summary.json'), JSON.stringify(summary))) });
    const output = await outputOf(await startBatch(harness, { sourceList: writeList(harness, [...makeSources(harness, CHUNK), harness.path('missing')]), onFailure: 'rollBack', lanes: 1, maxRetries: 0 }));
    expect(output).toMatchObject({ success: false, errorCode: 'RollbackFailed', rollback: 'failed' });
  });
});

test('a snapshot of which somebody changes a journal is not published, and nothing of it stays', async () => {
  harness = await startHarness({ around: before('sealSnapshot', (run) => edit(journals(run)[0] ?? '', (text) => text.replace(/"mode":"\d{4}"/, '"mode":"4777"')), ['repository', '.file-backup', 'incoming']) });
  makeRepository(harness, ['a', 'sub/b']);
  expect(await harness.client.backupSnapshot(requestOf(harness))).toMatchObject({ success: false, errorCode: 'RunAltered', rollback: 'performed' });
  expect([published(harness), incoming(harness)]).toEqual([[], []]);
});

test('a restore of which somebody changes the plan makes nothing of it', async () => {
  harness = await startHarness({ around: before('restoreChunk', (run) => edit(join(run, 'plan', 'plan.ndjson'), (text) => text.replace(/"mode":"\d{4}"/, '"mode":"4777"')), ['target', '.file-backup', 'runs']) });
  makeRepository(harness, ['a', 'sub/b']);
  await harness.client.backupSnapshot(requestOf(harness));
  const output = await harness.client.restoreSnapshot({ repository: harness.path('repository'), target: harness.path('target'), retryDelayMs: 100 });
  expect(output).toMatchObject({ success: false, errorCode: 'RunAltered', restoredEntries: 0 });
  expect(readdirSync(harness.path('target')).filter((name) => name !== '.file-backup')).toEqual([]);
});
