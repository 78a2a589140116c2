import { createWorkplace, type Workplace } from '../cli/run-command';
import { endOf, faultsOf, makeSources, type BatchSources } from '../helpers/batch-oracle';
import { killEverything, killOwnServer, killServers, killWorkers, type KilledBatch } from '../helpers/batch-kills';
import { chooseSeed, describeSeed, SeededRandom } from '../helpers/seeded-random';

// What takes time is that the server misses a dead worker's heartbeats for ten seconds, each time.
jest.setTimeout(600_000);

const FILES = 10_000;

const seed = chooseSeed();
const random = new SeededRandom(seed);

let origin: Workplace;
let place: Workplace;
let sources: BatchSources;
let undisturbed: ReturnType<typeof endOf>;

beforeAll(async () => {
  origin = createWorkplace();
  sources = makeSources(origin.path('sources'), origin.path('list'), random, { count: FILES, leastBytes: 1024, mostBytes: 40 * 1024, large: 5, largeBytes: 8 * 1024 * 1024 });
  const destination = origin.path('undisturbed');
  const { code, stderr } = await origin.run(['batch', '--files-from', sources.list, '--to', destination]);
  expect({ code, faults: faultsOf(destination, sources), stderr }).toMatchObject({ code: 0, faults: [] });
  undisturbed = endOf(destination);
});

afterAll(() => origin.remove());

beforeEach(() => {
  place = createWorkplace();
});

afterEach(() => place.remove());

const scenarios: [string, (scenario: Parameters<typeof killWorkers>[0]) => Promise<KilledBatch>, number, number][] = [
  ['the worker', killWorkers, 20, 2],
  // The worker goes on with its chunk meanwhile: ten kills would not find one batch unfinished.
  ['the server', killServers, 5, 1],
  ['the server, in a second batch,', killServers, 5, 1],
  ['the command, the worker in it and the server, all at once,', killEverything, 5, 2],
];

test.each(scenarios)(`a batch of ${FILES} files goes on to the same end when %s is killed again and again`, async (what, killAll, kills, lanes) => {
  const destination = place.path('backups');
  const startedAtMs = Date.now();
  const batch = await killAll({ place, sources, destination, random, kills, lanes });
  console.log([`${kills} times ${what} in ${Math.round((Date.now() - startedAtMs) / 1000)} s, ${describeSeed(seed)}`, ...batch.lines, `retryCount ${String(batch.result.retryCount)}`].join('\n'));
  expect([...batch.faults, ...faultsOf(destination, sources)]).toEqual([]);
  expect(endOf(destination)).toEqual(undisturbed);
  expect(batch.result).toMatchObject({ success: true, totalFiles: FILES, successfulFiles: FILES, unchangedFiles: 0, failedFiles: 0, skippedFiles: 0, totalBytes: sources.sizeBytes });
});

test('a command whose own server is killed says why it gives up, and the same command continues the batch', async () => {
  const destination = place.path('backups');
  const { faults, lines, result } = await killOwnServer({ place, sources, destination, random, kills: 1, lanes: 2 });
  expect([...faults, ...faultsOf(destination, sources)]).toEqual([]);
  expect(result).toMatchObject({ success: true, totalFiles: FILES, successfulFiles: FILES });
  expect(lines).toEqual([expect.stringMatching(/^ended with 130: file-backup: Operation [0-9a-f-]+ could not be followed: .+: .*(connect|UNAVAILABLE|transport).*It is not finished: the same command continues it\./i)]);
});
