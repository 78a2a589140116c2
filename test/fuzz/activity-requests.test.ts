import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { requests, type ActivityName } from '../../src/activities/requests';
import { isBelow } from '../../src/core/roots';
import { isFailureType } from '../../src/failures';
import { initRepository } from '../../src/storage/snapshot/repository';
import { ActivityPlace, newAsking, RecordedRuns, type Asking } from '../helpers/activity-place';
import { makeFolder, memoryFolder, removeFolder } from '../helpers/files';
import { Mutator } from '../helpers/mutate';
import { chooseSeed, describeSeed, SeededRandom } from '../helpers/seeded-random';
import { interceptFs } from '../storage/patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));
// Each file is synced by itself: nobody can wait here for a sync of the file system, since all is one thread.
jest.mock('../../src/activities/file-system-sync', () => ({ ...jest.requireActual<object>('../../src/activities/file-system-sync'), canSyncFileSystem: () => false }));

/** How many requests; a million takes the better part of an hour. */
const COUNT = Number(process.env.FILE_BACKUP_FUZZ_REQUESTS ?? 20_000);

/** Requests to one set of runs: most of those are ended by then. */
const ROUND = 250;

const MOST_MS = 10_000;
const MOST_GROWTH_BYTES = 1024 ** 3;
const MOST_MESSAGE_CHARACTERS = 20_000;

const SECRET = 'SECRET-of-somebody-else';

/** Calls that change what a path of theirs names. */
const changing = ['mkdirSync', 'writeFileSync', 'linkSync', 'renameSync', 'unlinkSync', 'rmdirSync', 'rmSync', 'chmodSync', 'chownSync', 'lchownSync', 'symlinkSync', 'copyFileSync', 'utimesSync', 'lutimesSync', 'truncateSync', 'mkdtempSync'];
const reading = ['openSync', 'readFileSync', 'readdirSync', 'opendirSync', 'createReadStream'];
const WRITING = fs.constants.O_WRONLY | fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_TRUNC;

/** A worker with runs of every kind under way, and what their steps may be asked for. */
interface Round {
  readonly place: ActivityPlace;
  readonly requests: readonly (readonly [ActivityName, unknown, Asking])[];
  readonly askings: readonly Asking[];
  readonly mutator: Mutator;
}

async function newRound(folder: string, random: SeededRandom): Promise<Round> {
  const place = new ActivityPlace(folder);
  initRepository(join(place.outside, 'repository'));
  fs.writeFileSync(join(place.outside, 'secret'), SECRET);
  fs.symlinkSync(place.outside, place.path('link'));
  await new RecordedRuns(place).snapshot(true);
  const all = [1, 2].map(() => new RecordedRuns(place));
  for (const [index, runs] of all.entries()) {
    await runs.file(`file-${index}`);
    await runs.inPlace(`in-place-${index}`);
  }
  const kinds = [new RecordedRuns(place), new RecordedRuns(place), new RecordedRuns(place)] as const;
  await kinds[0].batch();
  await kinds[1].snapshot(false);
  await kinds[2].restore();
  const runs = [...all, ...kinds];
  const corpus = runs.flatMap(({ requests: asked, asking }) => Object.entries(asked).map(([name, request]) => [name as ActivityName, JSON.parse(JSON.stringify(request)) as unknown, asking] as const));
  const words = [place.root, place.outside, join(place.outside, 'secret'), place.path('link'), place.path('link', 'secret'), place.path('link', 'repository'), place.path('repository', 'x'), place.path('sources'), place.path('new', 'deep', 'x'), `${place.root}/../outside/secret`, '../outside', ...runs.map(({ asking }) => asking.runId), 'a'.repeat(64), '0777', '4777'];
  return { place, requests: corpus, askings: [...runs.map(({ asking }) => asking), newAsking()], mutator: new Mutator(random, corpus.map(([, request]) => request), words) };
}

/** What the kernel will find under a path of the code's: links on the way lead on. What is not there is named below what is. */
function realPath(path: string): string {
  const directory = dirname(path);
  if (directory === path) return path;
  try {
    return join(fs.realpathSync.native(directory), basename(path));
  } catch {
    return join(realPath(directory), basename(path));
  }
}

/** Watches calls for paths outside of what the worker was given. */
function watching(place: ActivityPlace, trouble: string[]): () => void {
  const allowed = [place.root, place.stateDirectory];
  return interceptFs(({ name, args }, proceed) => {
    const isWriting = changing.includes(name) || (name === 'openSync' && typeof args[1] === 'number' && (args[1] & WRITING) !== 0);
    if (isWriting || reading.includes(name)) {
      for (const arg of args.slice(0, name === 'linkSync' || name === 'renameSync' || name === 'copyFileSync' ? 2 : 1)) {
        if (typeof arg === 'number') continue;
        const path = realPath(String(arg));
        if (isWriting ? !allowed.some((root) => isBelow(root, path)) : isBelow(place.outside, path)) trouble.push(`${name} ${path}`);
      }
    }
    return proceed();
  });
}

/** Everything that a refusal says, to the innermost cause. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return [error.message, JSON.stringify((error as { details?: unknown }).details ?? ''), error.cause === undefined ? '' : textOf(error.cause)].join('\n');
}

function stacksOf(error: unknown): string[] {
  return error instanceof Error ? [`${error.name}: ${error.stack ?? ''}`, ...stacksOf(error.cause)] : [];
}

/** What is wrong with an answer, or null. */
function wrongWith(error: unknown): string | null {
  const text = textOf(error);
  if (text.includes(SECRET)) return `shows what is not its own: ${text}`;
  if (!(error instanceof ApplicationFailure) || !isFailureType(error.type)) return `has no type: ${stacksOf(error).join('\n')}`;
  const bug = stacksOf(error).find((stack) => /^(StepFailed: )?(TypeError|RangeError|ReferenceError)\b/.test(stack));
  if (bug !== undefined) return `is a bug: ${bug}`;
  return error.message.length > MOST_MESSAGE_CHARACTERS ? `says ${error.message.length} characters` : null;
}

test(`${COUNT} forged requests: each is done or refused with a type, nothing outside the roots is touched, nothing of it shown`, async () => {
  const seed = chooseSeed();
  const random = new SeededRandom(seed);
  const folder = makeFolder(memoryFolder());
  const startedBytes = process.memoryUsage().rss;
  const seen = new Map<string, number>();
  try {
    for (let done = 0; done < COUNT; done += ROUND) {
      const round = await newRound(folder, random);
      for (let each = 0; each < Math.min(ROUND, COUNT - done); each += 1) await forgeOne(round, random, seen, `request ${done + each} (${describeSeed(seed)})`);
      removeFolder(dirname(round.place.root));
      if (process.memoryUsage().rss - startedBytes > MOST_GROWTH_BYTES) throw new Error(`Memory has grown to ${process.memoryUsage().rss} bytes (${describeSeed(seed)})`);
    }
  } finally {
    removeFolder(folder);
  }
  // It got everywhere: past the schemas, and into every activity.
  if (COUNT >= 20_000) expect([...seen.keys()].filter((key) => key.endsWith(' done')).map((key) => key.split(' ')[0]).sort()).toEqual(Object.keys(requests).sort());
}, 60_000 + COUNT * 20);

async function forgeOne({ place, requests: corpus, askings, mutator }: Round, random: SeededRandom, seen: Map<string, number>, which: string): Promise<void> {
  const [name, valid, own] = random.pick(corpus);
  const request = mutator.mutate(valid);
  const asking = random.next() < 0.7 ? own : random.pick(askings);
  const describe = (): string => `${which}: ${name} ${JSON.stringify(request)}`;
  const trouble: string[] = [];
  const restore = watching(place, trouble);
  const startedAtMs = performance.now();
  let outcome = 'done';
  try {
    await place.schedule(name, [request], asking, random.next() < 0.1 ? '../../x' : '1');
  } catch (error) {
    const wrong = wrongWith(error);
    if (wrong !== null) throw new Error(`${describe()}\n${wrong}`);
    outcome = (error as ApplicationFailure).type ?? '';
  } finally {
    restore();
  }
  if (trouble.length > 0) throw new Error(`${describe()}\ntouched ${trouble.join(', ')}`);
  if (performance.now() - startedAtMs > MOST_MS) throw new Error(`${describe()}\ntook ${performance.now() - startedAtMs} ms`);
  seen.set(`${name} ${outcome}`, (seen.get(`${name} ${outcome}`) ?? 0) + 1);
}
