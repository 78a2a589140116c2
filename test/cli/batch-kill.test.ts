import { faultsOf, makeSources, type BatchSources } from '../helpers/batch-oracle';
import { killEverything, killServers, killWorkers, type KilledBatch } from '../helpers/batch-kills';
import { chooseSeed, describeSeed, SeededRandom } from '../helpers/seeded-random';
import { createWorkplace, type Workplace } from './run-command';

// The long version, with ten times as many kills, is test/faults/batch-kill.test.ts.
jest.setTimeout(120_000);

let place: Workplace;
let random: SeededRandom;
let sources: BatchSources;
let seed: number;

beforeEach(() => {
  place = createWorkplace();
  seed = chooseSeed();
  random = new SeededRandom(seed);
  sources = makeSources(place.path('sources'), place.path('list'), random, { count: 3000, leastBytes: 1000, mostBytes: 12_000 });
});

afterEach(() => place.remove());

test.each([
  ['a batch whose worker is killed goes on to the same end', killWorkers, 3],
  ['a batch whose server is killed goes on to the same end', killServers, 1],
  ['a batch is continued by the same command when command, worker and server were killed at once', killEverything, 1],
])('%s, and only what was under way is copied again', async (_title, killAll, kills) => {
  const destination = place.path('backups');
  const batch: KilledBatch = await killAll({ place, sources, destination, random, kills, lanes: 2 });
  expect({ seed: describeSeed(seed), kills: batch.lines, faults: [...batch.faults, ...faultsOf(destination, sources)] }).toMatchObject({ faults: [] });
  expect(batch.result).toMatchObject({ success: true, totalFiles: 3000, successfulFiles: 3000, unchangedFiles: 0, failedFiles: 0, skippedFiles: 0, totalBytes: sources.sizeBytes });
});
