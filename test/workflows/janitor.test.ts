import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { Context } from '@temporalio/activity';
import { pino } from 'pino';
import { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { ThreadPool } from '../../src/activities';
import { StagingRegistry, type RegisteredStaging } from '../../src/storage/staging-registry';
import { sweepStaging } from '../../src/worker/janitor';
import { startHarness, testServerAddress, type Harness } from '../helpers/backup-harness';
import { registered, sha256Of, stateOf, until, writePrevious, type FileState } from '../helpers/target-state';
import { startPlace } from '../helpers/worker-process';

/** What a sweep said. */
interface LogLine {
  readonly msg: string;
  readonly error?: string;
  readonly runId?: string;
  readonly stagingOf?: string;
}

/** A run that was terminated while its worker stood at a step, with what it left. */
interface Terminated {
  readonly place: Harness;
  readonly target: string;
  readonly source: string;
  readonly before: FileState | null;
  readonly runId: string;
}

let pool: ThreadPool;
let connection: NativeConnection;
const places: Harness[] = [];

beforeAll(async () => {
  // A harness first, since it sets the process up for connections.
  places.push(await startHarness());
  pool = new ThreadPool(2);
  connection = await NativeConnection.connect({ address: testServerAddress() });
});

afterAll(async () => {
  await pool?.close();
  await connection?.close();
  for (const place of places) await place.remove();
});

const beforeTheCommit = [
  ['prepareStaging', 'before'],
  ['prepareStaging', 'after'],
  ['stageFile', 'before'],
  ['stageFile', 'after'],
  ['verifyFile', 'after'],
  ['publishFile', 'before'],
] as const;

describe('a run that was terminated', () => {
  test.each(beforeTheCommit.flatMap(([step, when]) => [true, false].map((hasPrevious) => [when, step, hasPrevious] as const)))(
    '%s %s is swept when the next worker starts, with a previous target: %s',
    async (when, step, hasPrevious) => {
      const { place, target, before } = await terminatedAt(step, when, hasPrevious);
      await restartWorker(place);
      expect(stateOf(target)).toEqual(before);
      expect(place.leftovers()).toEqual([]);
      expect(registered(place)).toEqual([]);
      if (!hasPrevious) expect(existsSync(dirname(dirname(target)))).toBe(false);
    },
  );

  test('after it published a new target leaves that target whole and nothing else', async () => {
    const { place, target, source } = await terminatedAt('publishFile', 'after', false);
    await restartWorker(place);
    expect(sha256Of(target)).toBe(sha256Of(source));
    expect(readdirSync(dirname(target))).toEqual(['target']);
    expect(registered(place)).toEqual([]);
  });

  test('after it replaced a target keeps the previous one, and the log says where', async () => {
    const { place, target, source, before, runId } = await terminatedAt('publishFile', 'after', true);
    const lines = await sweep(place);
    const kept = join(dirname(target), `.file-backup-${runId}.revoked`, 'previous');
    expect(stateOf(kept)).toEqual(before);
    expect(sha256Of(target)).toBe(sha256Of(source));
    expect(lines).toEqual([expect.objectContaining({ msg: 'Staging directory could not be swept', runId, stagingOf: target, error: expect.stringContaining(kept) as string })]);
    // Nor does a later one lose it.
    await sweep(place);
    expect(stateOf(kept)).toEqual(before);
    expect(registered(place)).toEqual([`${runId}.json`]);
  });

  test('in its commit loses nothing but the staging directory', async () => {
    const { place, target, source } = await terminatedAt('finalizeFile', 'after', true);
    await restartWorker(place);
    expect(sha256Of(target)).toBe(sha256Of(source));
    expect(place.leftovers()).toEqual([]);
    expect(registered(place)).toEqual([]);
  });

  test('is swept once its destination is back', async () => {
    const { place, target } = await terminatedAt('stageFile', 'after', true);
    const away = `${place.directory}-away`;
    renameSync(place.directory, away);
    try {
      expect(await sweep(place)).toEqual([expect.objectContaining({ msg: 'Staging directory could not be swept', error: expect.stringContaining('gone') as string })]);
      expect(registered(place)).toHaveLength(1);
    } finally {
      renameSync(away, place.directory);
    }
    expect(await sweep(place)).toEqual([expect.objectContaining({ msg: 'Staging directory of a closed run removed', stagingOf: target })]);
    expect(place.leftovers()).toEqual([]);
  });
});

describe('what is none of its business stays', () => {
  test('a running run is not touched, and finishes', async () => {
    const place = await newPlace();
    const { source, target } = filesIn(place, false);
    const stop = stopAt('stageFile', 'after');
    const worker = await startHarness({ like: place, around: stop.around });
    const run = await worker.client.startBackupFile({ sourcePath: source, backupPath: target });
    await stop.reached;
    const left = place.leftovers();
    expect(await sweep(place)).toEqual([]);
    expect(place.leftovers()).toEqual(left);
    expect(left).not.toEqual([]);
    stop.release();
    await expect(run.result()).resolves.toMatchObject({ success: true, retryCount: 0 });
    await worker.stop();
    expect(place.leftovers()).toEqual([]);
  });

  test('a run that the server does not know stays, and is reported', async () => {
    const { place } = await terminatedAt('stageFile', 'after', false);
    const [left, runId] = [place.leftovers(), randomUUID()];
    changeEntry(place, (entry) => ({ ...entry, owner: { ...entry.owner, runId } }));
    expect(await sweep(place)).toEqual([expect.objectContaining({ msg: 'Staging directory of a run that this server does not know stays', runId })]);
    expect(place.leftovers()).toEqual(left);
    expect(registered(place)).toHaveLength(1);
  });

  test.each(['clusterId', 'namespace'] as const)('a run of another %s stays, without a word', async (field) => {
    const { place } = await terminatedAt('stageFile', 'after', false);
    const left = place.leftovers();
    changeEntry(place, (entry) => ({ ...entry, owner: { ...entry.owner, [field]: 'another' } }));
    expect(await sweep(place)).toEqual([]);
    expect(place.leftovers()).toEqual(left);
    expect(registered(place)).toHaveLength(1);
  });

  test('a parent that somebody else uses by now stays', async () => {
    const { place, target } = await terminatedAt('stageFile', 'after', false);
    writeFileSync(join(dirname(target), 'other'), 'not ours');
    await restartWorker(place);
    expect(readdirSync(dirname(target))).toEqual(['other']);
  });

  test('a directory of such a name that no run has registered stays', async () => {
    const place = await newPlace();
    mkdirSync(place.path(`.file-backup-${randomUUID()}`));
    const before = place.leftovers();
    await restartWorker(place);
    expect(place.leftovers()).toEqual(before);
  });
});

test('a registry that cannot be read is reported, and the worker serves all the same', async () => {
  const place = await newPlace();
  mkdirSync(join(place.stateDirectory, 'staging'));
  writeFileSync(join(place.stateDirectory, 'staging', 'damaged.json'), '{');
  expect(await sweep(place)).toEqual([expect.objectContaining({ msg: 'An entry of the registry of staging directories could not be read' })]);
  const { source, target } = filesIn(place, false);
  const worker = await startHarness({ like: place });
  await expect(worker.client.backupFile({ sourcePath: source, backupPath: target })).resolves.toMatchObject({ success: true });
  await worker.stop();
});

async function newPlace(): Promise<Harness> {
  const place = await startPlace();
  places.push(place);
  return place;
}

function filesIn(place: Harness, hasPrevious: boolean): { source: string; target: string; before: FileState | null } {
  const source = place.path('source');
  writeFileSync(source, 'content');
  const target = hasPrevious ? place.path('target') : place.path('made', 'for', 'target');
  return { source, target, before: hasPrevious ? writePrevious(target) : null };
}

/** Holds a worker at a step until it is released, or until the worker stops. */
function stopAt(step: string, when: 'before' | 'after') {
  let reach = (): void => undefined;
  let released = false;
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const wait = async (): Promise<void> => {
    const { cancellationSignal } = Context.current();
    reach();
    await until('the step is released', () => released || cancellationSignal.aborted);
  };
  return {
    reached,
    release: () => void (released = true),
    around: async (current: string, _attempt: number, run: () => Promise<unknown>): Promise<unknown> => {
      if (current !== step) return run();
      if (when === 'before') {
        await wait();
        // A step whose run was ended does nothing more.
        if (!released) throw new Error('The worker stopped');
      }
      const result = await run();
      if (when === 'after') await wait();
      return result;
    },
  };
}

async function terminatedAt(step: string, when: 'before' | 'after', hasPrevious: boolean): Promise<Terminated> {
  const place = await newPlace();
  const { source, target, before } = filesIn(place, hasPrevious);
  const stop = stopAt(step, when);
  const worker = await startHarness({ like: place, around: stop.around });
  const { workflowId, runId } = await worker.client.startBackupFile({ sourcePath: source, backupPath: target });
  await stop.reached;
  await place.temporal.workflow.getHandle(workflowId, runId).terminate('for the test');
  await worker.stop();
  return { place, target, source, before, runId };
}

/** The sweep at a worker's start is over when the worker has ended. */
async function restartWorker(place: Harness): Promise<void> {
  const worker = await startHarness({ like: place });
  await worker.stop();
}

/** One sweep, as a worker of this server makes it, with what it logs. */
async function sweep({ stateDirectory }: Harness): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as LogLine) });
  const { clusterId } = await connection.workflowService.getClusterInfo({});
  await sweepStaging({ registry: new StagingRegistry(stateDirectory), pool, client: new Client({ connection }), owner: { clusterId, namespace: 'default' }, log });
  return lines;
}

function changeEntry(place: Harness, change: (entry: RegisteredStaging) => RegisteredStaging): void {
  const [name = ''] = registered(place);
  const path = join(place.stateDirectory, 'staging', name);
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')) as RegisteredStaging)));
}

