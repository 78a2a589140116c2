import { existsSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Context } from '@temporalio/activity';
import type { FileBackupHandle } from '../../src/client';
import type { FileBackupOutput } from '../../src/models';
import { startHarness, type Harness } from '../helpers/backup-harness';
import { registered, stateOf, until, writePrevious, type FileState } from '../helpers/target-state';
import { startPlace, startWorkerProcess, type Fault } from '../helpers/worker-process';

jest.setTimeout(120_000);

/** Where the worker is when it is killed. */
type Point = readonly [step: string, when: Fault['when'], call?: string, nth?: number, path?: string];

interface Case {
  readonly title: string;
  readonly point: Point;
  readonly hasPrevious: boolean;
  /** The run fails after the target was published, and is killed while it undoes. */
  readonly undoing: boolean;
  readonly maxRetries: number;
}

interface Started extends Case {
  readonly target: string;
  readonly before: FileState | null;
  readonly run: FileBackupHandle;
}

const stepNames = ['inspectFile', 'prepareStaging', 'stageFile', 'verifyStagedFile', 'publishFile', 'finalizeFile'];
const stepPoints: Point[] = stepNames.flatMap((step): Point[] => [[step, 'before'], [step, 'after']]);

/** File system calls of a backup that creates its target below two missing parents. */
const newTargetPoints: Point[] = [
  ['prepareStaging', 'after', 'mkdirSync', 1],
  ['prepareStaging', 'after', 'mkdirSync', 2],
  ['prepareStaging', 'before', 'mkdirSync', 3],
  ['prepareStaging', 'after', 'mkdirSync', 3],
  ['prepareStaging', 'after', 'linkSync', 1],
  ['prepareStaging', 'after', 'writeFileSync', 2],
  ['prepareStaging', 'before', 'linkSync', 2],
  ['prepareStaging', 'after', 'linkSync', 2],
  ['prepareStaging', 'after', 'unlinkSync', 3],
  ['prepareStaging', 'before', 'fsyncSync', 1, '/.file-backup-'],
  ['stageFile', 'after', 'openSync', 1, '/staged-'],
  ['stageFile', 'after', 'writeSync', 2],
  ['stageFile', 'before', 'fchmodSync', 1],
  ['stageFile', 'before', 'fsyncSync', 1],
  ['stageFile', 'after', 'fsyncSync', 1],
  ['stageFile', 'after', 'fsyncSync', 2],
  ['verifyStagedFile', 'after', 'readSync', 1],
  ['publishFile', 'before', 'linkSync', 1],
  ['publishFile', 'after', 'linkSync', 1],
  ['publishFile', 'after', 'linkSync', 2],
  ['publishFile', 'after', 'fsyncSync', 1],
  ['finalizeFile', 'after', 'renameSync', 1],
  ['finalizeFile', 'after', 'unlinkSync', 2],
  ['finalizeFile', 'before', 'rmdirSync', 1],
  ['finalizeFile', 'after', 'rmdirSync', 1],
];

/** And of one that replaces a target. */
const previousPoints: Point[] = [
  ['prepareStaging', 'after', 'linkSync', 2],
  ['stageFile', 'after', 'writeSync', 2],
  ['publishFile', 'after', 'linkSync', 1],
  ['publishFile', 'after', 'linkSync', 2],
  ['publishFile', 'after', 'renameSync', 1],
  ['publishFile', 'after', 'fsyncSync', 1],
  ['finalizeFile', 'before', 'renameSync', 1],
  ['finalizeFile', 'after', 'renameSync', 1],
  ['finalizeFile', 'after', 'unlinkSync', 1],
  ['finalizeFile', 'after', 'unlinkSync', 2],
  ['finalizeFile', 'after', 'unlinkSync', 3],
  ['finalizeFile', 'after', 'rmdirSync', 1],
];

const undoPoints: Point[] = [
  ['unpublishFile', 'before'],
  ['unpublishFile', 'after', 'renameSync', 1],
  ['unpublishFile', 'before', 'renameSync', 2],
  ['unpublishFile', 'after', 'renameSync', 2],
  ['unpublishFile', 'after', 'fsyncSync', 1],
  ['unpublishFile', 'after'],
  ['discardStaging', 'before', 'unlinkSync', 1],
  ['discardStaging', 'after', 'unlinkSync', 1],
  ['discardStaging', 'after', 'rmdirSync', 1],
  ['discardStaging', 'after'],
];

const undoNewPoints: Point[] = [
  ...undoPoints,
  ['unpublishFile', 'after', 'unlinkSync', 1],
  ['discardStaging', 'after', 'rmdirSync', 2],
  ['discardStaging', 'after', 'rmdirSync', 3],
];

const groups: Record<string, Case[]> = {
  'at a step': [...casesOf(stepPoints, true, false), ...casesOf(stepPoints, false, false)],
  'while it makes a target': casesOf(newTargetPoints, false, false),
  'while it replaces a target': casesOf(previousPoints, true, false),
  'while it undoes': [...casesOf(undoPoints, true, true), ...casesOf(undoNewPoints, false, true)],
};

/** In the worker's main thread, where no other run may be under way. */
const registryFaults: Record<string, Fault> = {
  'before the registry remembers the run': { id: 'registry', call: 'renameSync', path: '.json', nth: 1, when: 'before', action: 'kill' },
  'after the registry remembers the run': { id: 'registry', call: 'renameSync', path: '.json', nth: 1, when: 'after', action: 'kill' },
  'before the registry forgets the run': { id: 'registry', call: 'unlinkSync', path: '.json', nth: 1, when: 'before', action: 'kill' },
};

interface Survived {
  readonly output: FileBackupOutput;
  readonly leftovers: readonly string[];
  readonly remembered: readonly string[];
  readonly copied: boolean;
}

/** A group's place after its worker was killed, with the second worker at work. */
interface Survivors {
  readonly second: Harness;
  readonly started: ReadonlyMap<string, Started>;
}

const places: Harness[] = [];
const survivors = new Map<string, Promise<Survivors>>();
const outside = new Map<string, Promise<Survived>>();

// All at once: what takes time is that the server misses the heartbeats of a dead worker.
beforeAll(() => {
  for (const [group, cases] of Object.entries(groups)) survivors.set(group, killAndFollow(cases));
  for (const [title, fault] of Object.entries(registryFaults)) outside.set(title, survive(fault));
});

afterAll(async () => {
  const ended = await Promise.allSettled(survivors.values());
  for (const each of ended) if (each.status === 'fulfilled') await each.value.second.stop();
  await Promise.allSettled(outside.values());
  for (const place of places) await place.remove();
});

describe.each(Object.entries(groups))('a worker that dies %s', (group, cases) => {
  test.each(cases.map((each) => [each.title, each] as const))('%s', async (title) => {
    const { second, started } = await survivorsOf(group);
    const each = started.get(title) as Started;
    const output = await each.run.result();
    if (each.undoing) expectUndone(each, output);
    else expectDone(each, output, second.path('source.bin'));
  });

  test('leaves nothing in the folder and nothing in the state once the second worker is done', async () => {
    const { second, started } = await survivorsOf(group);
    await Promise.all([...started.values()].map(({ run }) => run.result()));
    expect(second.leftovers()).toEqual([]);
    await until('no run is remembered', () => registered(second).length === 0);
  });
});

test.each(Object.keys(registryFaults))('a worker that dies %s leaves nothing to the second one', async (title) => {
  const { output, leftovers, remembered, copied } = await (outside.get(title) as Promise<Survived>);
  expect(output).toMatchObject({ success: true, errorCode: null });
  expect({ copied, leftovers, remembered }).toEqual({ copied: true, leftovers: [], remembered: [] });
});

test('a worker that is stopped in the middle of a step hands it to the next one, even without retries', async () => {
  let begun = (): void => undefined;
  const inStep = new Promise<void>((resolve) => (begun = resolve));
  const first = await startHarness({
    around: async (step, _attempt, run) => {
      if (step !== 'stageFile') return run();
      const { cancellationSignal } = Context.current();
      begun();
      await until('the worker stops', () => cancellationSignal.aborted);
      return run();
    },
  });
  try {
    writeFileSync(first.path('source'), 'content');
    const run = await first.client.startBackupFile({ sourcePath: first.path('source'), backupPath: first.path('target'), maxRetries: 0 });
    await inStep;
    await first.stop();
    const second = await startHarness({ like: first });
    const found = second.temporal.workflow.getHandle(run.workflowId, run.runId);
    await expect(found.result()).resolves.toMatchObject({ success: true, retryCount: 1 });
    expect(second.leftovers()).toEqual([]);
    await second.stop();
  } finally {
    await first.remove();
  }
});

test('an in-place copy whose worker dies is not repeated, since the lost attempt might still write', async () => {
  const place = await startPlace();
  const target = place.path('target');
  const first = startWorkerProcess({ ...place, faults: { [target]: [{ id: 'write', step: 'writeTarget', call: 'writeSync', nth: 1, when: 'after', action: 'block' }] } });
  try {
    writeFileSync(place.path('source'), 'content');
    const run = await place.client.startBackupFile({ sourcePath: place.path('source'), backupPath: target, atomic: false, maxRetries: 3, retryDelayMs: 100 });
    await first.reached(['write']);
    await first.kill();
    const second = await startHarness({ like: place });
    await expect(run.result()).resolves.toMatchObject({ success: false, errorCode: 'TimedOut', retryCount: 0, rollback: { status: 'unsupported' } });
    await second.stop();
  } finally {
    await first.kill();
    await place.remove();
  }
});

function casesOf(points: readonly Point[], hasPrevious: boolean, undoing: boolean): Case[] {
  return points.map((point, index) => {
    const [step, when, call, nth, path] = point;
    const where = call === undefined ? step : `${call} ${nth} ${path === undefined ? '' : `of ${path} `}in ${step}`;
    // The death of a worker is not the file's fault: it takes none of the retries.
    const maxRetries = index % 2 === 0 ? 0 : 3;
    return { title: `${when} ${where}, ${hasPrevious ? 'with' : 'without'} a previous target, maxRetries ${maxRetries}`, point, hasPrevious, undoing, maxRetries };
  });
}

async function survivorsOf(group: string): Promise<Survivors> {
  const found = survivors.get(group);
  if (found === undefined) throw new Error(`${group} was not started`);
  return found;
}

async function newPlace(): Promise<Harness> {
  const place = await startPlace();
  places.push(place);
  return place;
}

async function killAndFollow(cases: readonly Case[]): Promise<Survivors> {
  const place = await newPlace();
  const started = await killAt(place, cases);
  return { started, second: await startHarness({ like: place, breaker: { failureThreshold: 1000 } }) };
}

async function survive(fault: Fault): Promise<Survived> {
  const place = await newPlace();
  const first = startWorkerProcess({ ...place, faults: { main: [fault] } });
  try {
    writeFileSync(place.path('source'), 'content');
    const target = place.path('made', 'target');
    const run = await place.client.startBackupFile({ sourcePath: place.path('source'), backupPath: target, maxRetries: 0 });
    await first.ended;
    const second = await startHarness({ like: place });
    const output = await run.result();
    await second.stop();
    return { output, leftovers: place.leftovers(), remembered: registered(place), copied: stateOf(target)?.sha256 === stateOf(place.path('source'))?.sha256 };
  } finally {
    await first.kill();
  }
}

/** Starts all backups in one worker, lets each come to its point, and kills the worker. */
async function killAt(place: Harness, cases: readonly Case[]): Promise<Map<string, Started>> {
  writeFileSync(place.path('source.bin'), Buffer.alloc(3_000_000, 'content'), { mode: 0o604 });
  const targets = cases.map((each, index) => targetOf(place, each, index));
  const faults: Record<string, ReturnType<typeof faultsOf>> = {};
  cases.forEach((each, index) => (faults[targets[index] ?? ''] = faultsOf(each, index)));
  const worker = startWorkerProcess({ ...place, faults, concurrency: cases.length });
  try {
    const started = await Promise.all(cases.map((each, index) => startCase(place, each, targets[index] ?? '')));
    await worker.reached(cases.map((_each, index) => `stop-${index}`));
    return new Map(started.map((each) => [each.title, each]));
  } finally {
    await worker.kill();
  }
}

function targetOf(place: Harness, { hasPrevious }: Case, index: number): string {
  return hasPrevious ? place.path(`case-${index}`, 'target') : place.path(`case-${index}`, 'made', 'target');
}

function faultsOf({ point: [step, when, call, nth = 1, path], hasPrevious, undoing }: Case, index: number): Fault[] {
  const stop: Fault = { id: `stop-${index}`, step, when, call, nth, path, action: 'block' };
  // A permanent failure of the last call of publication: the target is there already, and undo has to take it back.
  const fail: Fault = { id: `fail-${index}`, step: 'publishFile', when: 'after', call: hasPrevious ? 'renameSync' : 'linkSync', nth: hasPrevious ? 1 : 2, action: 'EROFS' };
  return undoing ? [fail, stop] : [stop];
}

async function startCase(place: Harness, each: Case, target: string): Promise<Started> {
  const before = each.hasPrevious ? writePrevious(target) : null;
  const { maxRetries } = each;
  const run = await place.client.startBackupFile({ sourcePath: place.path('source.bin'), backupPath: target, maxRetries, retryDelayMs: 100, verifyFrom: 'cache' });
  return { ...each, target, before, run };
}

function expectDone({ target, hasPrevious }: Started, output: FileBackupOutput, source: string): void {
  expect(output).toMatchObject({ success: true, errorCode: null, publishedBy: hasPrevious ? 'rename' : 'link', rollback: { status: 'notNeeded' }, warnings: [] });
  const original = stateOf(source);
  const copy = stateOf(target);
  expect({ sha256: copy?.sha256, mode: copy?.mode }).toEqual({ sha256: original?.sha256, mode: original?.mode });
}

function expectUndone({ target, before }: Started, output: FileBackupOutput): void {
  expect(output).toMatchObject({ success: false, errorCode: 'DestinationReadOnly', rollback: { status: 'performed' } });
  expect(stateOf(target)).toEqual(before);
  if (before === null) expect(existsSync(dirname(dirname(target)))).toBe(false);
}
