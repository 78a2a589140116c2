import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BatchBackupHandle } from '../../src/client';
import type { BatchBackupOutput } from '../../src/batch-models';
import { startHarness, type Harness } from '../helpers/backup-harness';
import { memoryFolder, treeOf } from '../helpers/files';
import { runNames } from '../helpers/run-watch';
import { startPlace, startWorkerProcess, type Fault } from '../helpers/worker-process';

jest.setTimeout(180_000);

/** Hundreds of threads begin at once. */
const REACHED_WITHIN_MS = 120_000;

/** Where the worker is when it is killed. */
type Point = readonly [step: string, when: Fault['when'], call?: string, nth?: number, path?: string];

/** Names in a run's directory that tell the calls of a step apart. */
const files = { plan: 'plan.', journal: '/journal/', staging: '/staging/', reserve: '/reserve', revoked: 'staging.revoked', manifest: 'manifest.ndjson', failures: 'failures.ndjson', summary: 'summary.json', owner: 'owner.json', target: '.backup', own: '.file-backup' } as const;

/** Where all batches can be met. */
const commonPoints: readonly Point[] = [
  ['openRun', 'before'],
  ['openRun', 'after', 'mkdirSync', 1, files.own],
  ['openRun', 'before', 'renameSync', 1, files.owner],
  ['openRun', 'after', 'renameSync', 1, files.owner],
  ['openRun', 'after', 'writeFileSync', 1, files.reserve],
  ['openRun', 'after'],
  ['planBatch', 'after', 'openSync', 1, files.plan],
  ['planBatch', 'after', 'writeSync', 1, files.plan],
  ['planBatch', 'before', 'fsyncSync', 2, files.plan],
  ['planBatch', 'after'],
  // Stages.
  ['backUpChunk', 'before'],
  ['backUpChunk', 'after', 'mkdirSync', 1, files.staging],
  ['backUpChunk', 'after', 'openSync', 2, files.staging],
  ['backUpChunk', 'after', 'writeSync', 1, files.staging],
  ['backUpChunk', 'after', 'writeSync', 3, files.staging],
  // Reads back.
  ['backUpChunk', 'after', 'readSync', 1, files.staging],
  // Writes the journal.
  ['backUpChunk', 'before', 'linkSync', 1, files.journal],
  ['backUpChunk', 'after', 'linkSync', 1, files.journal],
  ['backUpChunk', 'after', 'unlinkSync', 1, files.journal],
  // Removes what was staged.
  ['backUpChunk', 'before', 'rmdirSync', 1, files.staging],
  ['backUpChunk', 'after', 'rmdirSync', 1, files.staging],
  ['backUpChunk', 'after'],
];

/** Staging and publication of targets that are new. */
const createPoints: readonly Point[] = [
  ['backUpChunk', 'after', 'mkdirSync', 2],
  ['backUpChunk', 'before', 'linkSync', 1],
  ['backUpChunk', 'after', 'linkSync', 1],
  ['backUpChunk', 'after', 'linkSync', 2],
  ['backUpChunk', 'after', 'linkSync', 3],
  ['backUpChunk', 'after', 'unlinkSync', 1, files.staging],
];

/** Publication of targets that replace others. */
const replacePoints: readonly Point[] = [
  ['backUpChunk', 'before', 'renameSync', 1, files.target],
  ['backUpChunk', 'after', 'renameSync', 1, files.target],
  ['backUpChunk', 'after', 'renameSync', 2, files.target],
];

/** And of those that must be kept meanwhile. */
const keepPoints: readonly Point[] = [
  ['backUpChunk', 'after', 'linkSync', 1],
  ['backUpChunk', 'after', 'linkSync', 2],
];

const amendPoints: readonly Point[] = [
  ['amendJournal', 'before'],
  ['amendJournal', 'before', 'renameSync', 1],
  ['amendJournal', 'after', 'renameSync', 1],
  ['amendJournal', 'after'],
];

const sealPoints: readonly Point[] = [
  ['sealRun', 'before', 'renameSync', 1, files.revoked],
  ['sealRun', 'after', 'renameSync', 1, files.revoked],
  ['sealRun', 'before', 'renameSync', 1, files.manifest],
  ['sealRun', 'after', 'renameSync', 1, files.manifest],
  ['sealRun', 'after', 'renameSync', 1, files.failures],
  ['sealRun', 'before', 'renameSync', 1, files.summary],
  ['sealRun', 'after', 'renameSync', 1, files.summary],
  ['sealRun', 'after', 'unlinkSync', 1],
  ['sealRun', 'after', 'rmdirSync', 1],
  ['sealRun', 'after', 'rmdirSync', 2],
  ['sealRun', 'after', 'rmdirSync', 3],
  ['sealRun', 'after'],
];

const undoPoints: readonly Point[] = [
  ['revokeRun', 'before', 'renameSync', 1],
  ['revokeRun', 'after', 'renameSync', 1],
  ['undoChunk', 'before'],
  ['undoChunk', 'before', 'renameSync', 1],
  ['undoChunk', 'after', 'renameSync', 1],
  ['undoChunk', 'after', 'renameSync', 2],
  ['undoChunk', 'after', 'fsyncSync', 1],
  ['undoChunk', 'after'],
];

const undoNewPoints: readonly Point[] = [...undoPoints, ['undoChunk', 'after', 'unlinkSync', 1], ['removeCreatedDirectories', 'before'], ['removeCreatedDirectories', 'after', 'rmdirSync', 1], ['removeCreatedDirectories', 'after']];

interface Kind {
  /** Targets are there before; otherwise they come into directories that are not. */
  readonly hasPrevious: boolean;
  /** All or nothing. */
  readonly rollBack: boolean;
  /** The last file of the list is missing, so that everything is undone. */
  readonly isBad: boolean;
  /** Reading one file fails once, so that it gets a saga of its own. */
  readonly isFlaky: boolean;
}

interface Case extends Kind {
  readonly title: string;
  readonly point: Point;
  readonly maxRetries: number;
}

const plain: Kind = { hasPrevious: false, rollBack: false, isBad: false, isFlaky: false };

const groups: Record<string, readonly Case[]> = {
  'of files that are each for itself': [
    ...casesOf([...commonPoints, ...createPoints, ...sealPoints], plain),
    ...casesOf([...replacePoints, ...amendPoints], { ...plain, hasPrevious: true, isFlaky: true }),
  ],
  'of all or nothing': [
    ...casesOf([...createPoints, ...sealPoints], { ...plain, rollBack: true }),
    ...casesOf([...keepPoints, ...replacePoints, ...sealPoints.slice(0, 2)], { ...plain, rollBack: true, hasPrevious: true }),
  ],
  'of all or nothing that is undone': [
    ...casesOf([...commonPoints, ...createPoints, ...undoNewPoints], { ...plain, rollBack: true, isBad: true }),
    ...casesOf([...keepPoints, ...replacePoints, ...undoPoints, ...sealPoints.slice(2, 8)], { ...plain, rollBack: true, isBad: true, hasPrevious: true }),
  ],
};

interface Started extends Case {
  readonly destination: string;
  readonly before: Record<string, string>;
  readonly run: BatchBackupHandle;
}

/** A group's place after its worker was killed, with the second worker at work. */
interface Survivors {
  readonly second: Harness;
  readonly started: ReadonlyMap<string, Started>;
}

const NAMES = ['one', 'two', 'flaky'];

const places: Harness[] = [];
const survivors = new Map<string, Promise<Survivors>>();

// All at once: what takes time is that the server misses the heartbeats of a dead worker.
beforeAll(() => {
  for (const [group, cases] of Object.entries(groups)) survivors.set(group, killAndFollow(cases));
});

afterAll(async () => {
  const ended = await Promise.allSettled(survivors.values());
  for (const each of ended) if (each.status === 'fulfilled') await each.value.second.stop();
  for (const place of places) await place.remove();
});

describe.each(Object.entries(groups))('a worker that dies in a batch %s', (group, cases) => {
  test.each(cases.map((each) => [each.title, each] as const))('%s', async (title) => {
    const { second, started } = await (survivors.get(group) as Promise<Survivors>);
    const each = started.get(title) as Started;
    const output = await each.run.result();
    if (each.isBad) expectUndone(each, output);
    else expectDone(second, each, output);
    expect(readdirSync(output.runDirectory).sort()).toEqual(runNames.records);
  });
});

function casesOf(points: readonly Point[], kind: Kind): Case[] {
  return points.map((point, index) => {
    const [step, when, call, nth, path] = point;
    const where = call === undefined ? step : `${call} ${nth} ${path === undefined ? '' : `of ${path} `}in ${step}`;
    // The death of a worker is no file's fault: it takes none of the retries. A file's own failure does.
    const maxRetries = index % 2 === 0 && !kind.isFlaky ? 0 : 3;
    return { title: `${when} ${where}, ${kind.hasPrevious ? 'with' : 'without'} previous targets, maxRetries ${maxRetries}`, point, maxRetries, ...kind };
  });
}

async function killAndFollow(cases: readonly Case[]): Promise<Survivors> {
  // A kill leaves the page cache alone: in memory the same is found sooner.
  const place = await startPlace(memoryFolder());
  places.push(place);
  mkdirSync(place.path('sources'));
  NAMES.forEach((name, index) => writeFileSync(place.path('sources', name), `content of ${name} `.repeat(100), { mode: 0o640 + index }));
  const started = await killAt(place, cases);
  return { started, second: await startHarness({ like: place, breaker: { failureThreshold: 1000 } }) };
}

/** Starts all batches in one worker, lets each come to its point, and kills the worker. */
async function killAt(place: Harness, cases: readonly Case[]): Promise<Map<string, Started>> {
  const destinationOf = (index: number): string => place.path(`case-${index}`, 'backups');
  const faults = Object.fromEntries(cases.map((each, index) => [destinationOf(index), faultsOf(each, index)]));
  // A busy machine may miss heartbeats: the attempts that follow need room beside those that are stopped.
  const worker = startWorkerProcess({ ...place, faults, concurrency: cases.length * 2 });
  try {
    const started = await Promise.all(cases.map((each, index) => startCase(place, each, destinationOf(index))));
    await worker.reached(cases.map((_each, index) => `stop-${index}`), REACHED_WITHIN_MS);
    return new Map(started.map((each) => [each.title, each]));
  } finally {
    await worker.kill();
  }
}

function faultsOf({ point: [step, when, call, nth = 1, path], isFlaky }: Case, index: number): Fault[] {
  const stop: Fault = { id: `stop-${index}`, step, when, call, nth, path, action: 'block' };
  const fail: Fault = { id: `fail-${index}`, step: 'backUpChunk', when: 'before', call: 'openSync', path: '/sources/flaky', action: 'EIO', nth: 1 };
  return isFlaky ? [fail, stop] : [stop];
}

async function startCase(place: Harness, each: Case, destination: string): Promise<Started> {
  const { hasPrevious, rollBack, isBad, maxRetries } = each;
  const sources = [...NAMES, ...(isBad ? ['missing'] : [])].map((name) => place.path('sources', name));
  if (hasPrevious) {
    mkdirSync(destination, { recursive: true });
    for (const name of NAMES) writeFileSync(join(destination, `${name}.backup`), `previous ${name}`, { mode: 0o604 });
  }
  const before = existsSync(destination) ? treeOf(destination) : {};
  const run = await place.client.startBackupBatch({ sources, backupDir: destination, layout: hasPrevious ? 'flat' : 'tree', onFailure: rollBack ? 'rollBack' : 'continue', maxRetries, retryDelayMs: 100, verifyFrom: 'cache' });
  return { ...each, destination, before, run };
}

function expectDone(place: Harness, { destination, hasPrevious }: Started, output: BatchBackupOutput): void {
  expect(output).toMatchObject({ success: true, errorCode: null, totalFiles: NAMES.length, successfulFiles: NAMES.length, failedFiles: 0, skippedFiles: 0, rollback: 'notNeeded' });
  for (const name of NAMES) {
    const source = place.path('sources', name);
    const target = hasPrevious ? join(destination, `${name}.backup`) : join(destination, source);
    expect(readFileSync(target)).toEqual(readFileSync(source));
    expect(statSync(target).mode).toBe(statSync(source).mode);
  }
  expect(Object.values(withoutRecord(destination)).filter((entry) => entry.startsWith('file'))).toHaveLength(NAMES.length);
}

function expectUndone({ destination, before }: Started, output: BatchBackupOutput): void {
  expect(output).toMatchObject({ success: false, errorCode: 'SourceNotFound', successfulFiles: 0, rollback: 'performed' });
  expect(withoutRecord(destination)).toEqual(before);
}

/** Everything in a destination but what is the run's own. */
function withoutRecord(destination: string): Record<string, string> {
  return Object.fromEntries(Object.entries(treeOf(destination)).filter(([name]) => !name.startsWith(files.own)));
}
