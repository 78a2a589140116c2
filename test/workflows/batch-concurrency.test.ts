import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BatchBackupOutput, BatchBackupRequest } from '../../src/batch-models';
import { backups, expectAddsUp, makeSources, recordOf, runBatch, targetOf, writeList } from '../helpers/batch';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { registered } from '../helpers/target-state';

let harness: Harness;

afterEach(() => harness?.remove());

interface Line {
  readonly target: string;
  readonly sha256?: string;
}

/** Sources of equal names and different content in folders of their own. */
function makeRivals(count: number): [string[], string[]] {
  const make = (folder: string): string[] => {
    mkdirSync(harness.path(folder));
    return Array.from({ length: count }, (_, index) => {
      const path = join(harness.path(folder), `file-${index}`);
      writeFileSync(path, `${folder} ${index} `.repeat(1 + (index % 40)));
      return path;
    });
  };
  return [make('one'), make('two')];
}

function runBoth(sources: readonly [string[], string[]], request: Partial<BatchBackupRequest> = {}): Promise<BatchBackupOutput[]> {
  return Promise.all(sources.map((paths) => runBatch(harness, { sourceList: writeList(harness, paths), lanes: 2, ...request })));
}

/** Chunks of both batches stage before one of them publishes: they meet at every target. */
function together(): Around {
  let arrived = 0;
  let release = (): void => undefined;
  const both = new Promise<void>((resolve) => (release = resolve));
  return async (step, _attempt, next) => {
    if (step === 'backupChunk') {
      if ((arrived += 1) >= 2) release();
      await both;
    }
    return next();
  };
}

test('two batches of different files into one directory at the same time both end well, each with its own record', async () => {
  harness = await startHarness({ around: together() });
  const sources: [string[], string[]] = [makeSources(harness, 1500, 'left'), makeSources(harness, 1500, 'right')];
  const outputs = await runBoth(sources);
  for (const output of outputs) {
    expect(output).toMatchObject({ success: true, totalFiles: 1500, successfulFiles: 1500 });
    expectAddsUp(output);
  }
  expect(new Set(outputs.map(({ runDirectory }) => runDirectory)).size).toBe(2);
  for (const source of sources.flat()) expect(readFileSync(targetOf(harness, source)).equals(readFileSync(source))).toBe(true);
  expect([backups(harness).length, harness.leftovers(), registered(harness)]).toEqual([3000, [], []]);
});

test.each([false, true])('two batches that overlap leave each target whole, of one of them, and a record of which (targets there before: %s)', async (hasPrevious) => {
  harness = await startHarness({ around: together() });
  const sources = makeRivals(1200);
  mkdirSync(harness.path('backups'));
  if (hasPrevious) for (const source of sources[0]) writeFileSync(targetOf(harness, source), 'previous');
  const outputs = await runBoth(sources);
  outputs.forEach(expectAddsUp);
  for (const [index, source] of sources[0].entries()) {
    const content = readFileSync(targetOf(harness, source), 'utf8');
    expect([readFileSync(source, 'utf8'), readFileSync(sources[1][index] ?? '', 'utf8')]).toContain(content);
  }
  const good = outputs.flatMap((output) => recordOf<Line>(output, 'manifest.ndjson'));
  // Who comes second to a new target is told so; a target that was there is replaced twice.
  expect(new Set(good.map(({ target }) => target)).size).toBe(1200);
  for (const { failuresByType } of outputs) expect(Object.keys(failuresByType).filter((type) => type !== 'DestinationConflict')).toEqual([]);
  expect([backups(harness).length, harness.leftovers(), registered(harness)]).toEqual([1200, [], []]);
});

test('a batch that is undone while another one writes the same targets takes back only its own', async () => {
  harness = await startHarness();
  const sources = makeRivals(30);
  const [first, second] = sources;
  mkdirSync(harness.path('backups'));
  for (const source of first.slice(0, 15)) writeFileSync(targetOf(harness, source), 'previous');
  let isFirst = true;
  await harness.stop();
  const around: Around = async (step, _attempt, next) => {
    // When the first batch is about to be undone, the second one replaces every third of its targets.
    if (step === 'revokeRun' && isFirst) {
      isFirst = false;
      expect(await runBatch(worker, { sources: second.filter((_path, index) => index % 3 === 0) })).toMatchObject({ success: true, successfulFiles: 10 });
    }
    return next();
  };
  const worker = await startHarness({ like: harness, around });
  const output = await runBatch(worker, { sources: [...first, harness.path('one', 'missing')], onFailure: 'rollBack' });
  await worker.stop();
  expect(output).toMatchObject({ rollback: 'performed', errorCode: 'SourceNotFound' });
  for (const [index, source] of first.entries()) {
    const expected = index % 3 === 0 ? readFileSync(second[index] ?? '', 'utf8') : index < 15 ? 'previous' : undefined;
    const found = backups(harness).includes(`file-${index}.backup`) ? readFileSync(targetOf(harness, source), 'utf8') : undefined;
    expect([index, found]).toEqual([index, expected]);
  }
});

test('two batches that are to be all or nothing and overlap leave each target as one of them, or as it was', async () => {
  harness = await startHarness({ around: together() });
  const sources = makeRivals(600);
  mkdirSync(harness.path('backups'));
  for (const source of sources[0]) writeFileSync(targetOf(harness, source), 'previous');
  // The second one fails after both have replaced the targets in some order.
  sources[1].push(harness.path('two', 'missing'));
  const outputs = await runBoth(sources, { onFailure: 'rollBack' });
  expect(outputs[1]).toMatchObject({ rollback: 'performed' });
  for (const [index, source] of sources[0].entries()) {
    const content = readFileSync(targetOf(harness, source), 'utf8');
    expect([readFileSync(source, 'utf8'), 'previous']).toContain(content);
    expect(content).not.toBe(readFileSync(sources[1][index] ?? '', 'utf8'));
  }
  expect([harness.leftovers(), registered(harness)]).toEqual([[], []]);
});
