import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { ApplicationFailure } from '@temporalio/common';
import { listSnapshots } from '../../src/storage/snapshot/snapshot-record';
import { memoryFolder, useFolder } from '../helpers/files';
import { ActivityPlace, newAsking, RecordedRuns } from '../helpers/activity-place';

// A server whose database was put back to an earlier copy asks again for what is done.

const folder = useFolder(memoryFolder);
let place: ActivityPlace;
beforeEach(() => {
  place = new ActivityPlace(folder());
});

const repository = (): string => place.path('repository');
const published = (): string[] => listSnapshots(repository()).map(({ name }) => name);

/** The type that the step fails with. */
async function typeOf(step: Promise<unknown>): Promise<unknown> {
  const error: unknown = await step.catch((thrown: unknown) => thrown);
  return error instanceof ApplicationFailure ? error.type : error;
}

describe('of a snapshot that is published', () => {
  test('every step is answered by what it left, and nothing is made anew', async () => {
    const run = new RecordedRuns(place);
    const snapshot = await run.snapshot(true);
    const [name] = published();
    const { requests } = run;
    const chunk = await run.step('snapshotChunk', { snapshot, chunk: 0, pass: 0 });
    expect(chunk).toMatchObject({ counts: { backedUp: 0, unchanged: 0, failed: 0 }, passing: 0, singles: [] });
    expect(await run.step('snapshotChunk', { snapshot, chunk: 0, pass: 1 })).toMatchObject({ passing: 0 });
    expect(await run.step('sealSnapshot', requests.sealSnapshot!)).toMatchObject({ snapshot: name, status: 'complete', counts: { files: 2 } });
    const planned = await run.step('planSnapshot', requests.planSnapshot!);
    expect(planned).toMatchObject({ chunks: 0, files: 2 });
    // It has forgotten when the run began.
    expect(await run.step('sealSnapshot', { ...requests.sealSnapshot!, snapshot: planned, startedAt: '2026-05-05T05:05:05.000Z' })).toMatchObject({ snapshot: name });
    expect(published()).toEqual([name]);
    expect(readdirSync(place.path('repository', '.file-backup', 'incoming'))).toEqual([]);
  });

  test('undo says that it is there, and leaves it', async () => {
    const run = new RecordedRuns(place);
    await run.snapshot(true);
    const [name] = published();
    expect(await run.step('discardSnapshot', run.requests.discardSnapshot!)).toMatchObject({ published: { snapshot: name, status: 'complete' } });
    expect(published()).toEqual([name]);
  });

  test('a run that somebody has reset takes another one, and its undo is not told of the first', async () => {
    const asking = newAsking();
    const first = new RecordedRuns(place, asking);
    await first.snapshot(true);
    const again = new RecordedRuns(place, { ...asking, runId: newAsking().runId });
    expect(await again.step('planSnapshot', first.requests.planSnapshot!)).toMatchObject({ chunks: 1 });
    expect(await again.step('discardSnapshot', { repository: repository(), runId: asking.firstRunId, startedAt: '2026-05-05T05:05:05.000Z' })).toEqual({ published: null });
    expect(published()).toHaveLength(1);
  });
});

describe('of a snapshot that is not published', () => {
  test('a run whose directory was removed ends, and does not wait for the disk', async () => {
    const run = new RecordedRuns(place);
    const snapshot = await run.snapshot(false);
    rmSync(place.path('repository', '.file-backup', 'incoming', run.asking.runId), { recursive: true });
    expect(await typeOf(run.step('snapshotChunk', { snapshot, chunk: 0, pass: 0 }))).toBe('StagingRevoked');
    expect(await typeOf(run.step('sealSnapshot', run.requests.sealSnapshot!))).toBe('StagingRevoked');
    expect(await run.step('discardSnapshot', run.requests.discardSnapshot!)).toEqual({ published: null });
  });

  test('a repository that is away is waited for', async () => {
    const run = new RecordedRuns(place);
    const snapshot = await run.snapshot(false);
    renameSync(repository(), place.path('away'));
    expect(await typeOf(run.step('snapshotChunk', { snapshot, chunk: 0, pass: 0 }))).toBe('DestinationGone');
  });
});

describe.each(['continue', 'rollBack'] as const)('of a batch that has ended, on failure %s', (onFailure) => {
  test('every step is answered by its record, and nothing is copied again', async () => {
    const run = new RecordedRuns(place);
    const batch = await run.batch('batch', { onFailure });
    const sealed = await run.step('sealRun', run.requests.sealRun!);
    writeFileSync(place.path('sources/batch/a'), 'changed since');
    expect(await run.step('backupChunk', { batch, chunk: 0, pass: 0, storage: 'storage' })).toMatchObject({ counts: { backedUp: 0 }, passing: 0 });
    expect(await run.step('revokeRun', { batch })).toEqual({ committed: true });
    expect(await run.step('sealRun', run.requests.sealRun!)).toEqual(sealed);
    const planned = await run.step('planBatch', run.requests.planBatch!);
    expect(planned).toMatchObject({ chunks: 0, files: 2 });
    expect(await run.step('sealRun', { ...run.requests.sealRun!, batch: planned })).toEqual(sealed);
  });

  test('a run that somebody has reset copies what has changed, and its record is the new one', async () => {
    const asking = newAsking();
    const first = new RecordedRuns(place, asking);
    await first.batch('batch', { onFailure });
    await first.step('sealRun', first.requests.sealRun!);
    writeFileSync(place.path('sources/batch/a'), 'changed since');
    const again = new RecordedRuns(place, { ...asking, runId: newAsking().runId });
    const batch = await again.step('planBatch', first.requests.planBatch!);
    expect(await again.step('backupChunk', { batch, chunk: 0, pass: 0, storage: 'storage' })).toMatchObject({ counts: { backedUp: 1, unchanged: 1 } });
    expect(await again.step('sealRun', { ...first.requests.sealRun!, batch })).toMatchObject({ backedUp: 1, unchanged: 1 });
  });
});

test('a chunk of a restore of which nothing is left ends it, and does not wait for the disk', async () => {
  await new RecordedRuns(place).snapshot(true);
  const run = new RecordedRuns(place);
  const restore = await run.restore();
  await run.step('finishRestore', run.requests.finishRestore!);
  await run.step('closeRestore', run.requests.closeRestore!);
  expect(await typeOf(run.step('restoreChunk', { restore, chunk: 0, pass: 0 }))).toBe('StagingRevoked');
});
