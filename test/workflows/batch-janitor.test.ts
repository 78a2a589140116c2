import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { NativeConnection } from '@temporalio/worker';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { pino } from 'pino';
import { ThreadPool } from '../../src/activities';
import type { BatchBackupRequest } from '../../src/batch-models';
import { StagingRegistry, type RegisteredRun } from '../../src/storage/staging-registry';
import { sweepStaging } from '../../src/worker/janitor';
import { backups, makeSources, recordFiles, startBatch, targetOf, writeList } from '../helpers/batch';
import { chunkLimits } from '../../src/storage/batch/chunked-lines';
import { startHarness, testServerAddress, type Around, type Harness } from '../helpers/backup-harness';
import { registered, until, writePrevious } from '../helpers/target-state';
import { startPlace } from '../helpers/worker-process';

/** Files of the first chunks of a list. */
const CHUNK = chunkLimits.firstFiles;

/** Target of the second chunk that is there before. */
const SECOND = `file-${String(CHUNK + 200).padStart(5, '0')}.backup`;

/** A batch that was terminated while its worker stood at a step. */
interface Terminated {
  readonly place: Harness;
  readonly sources: readonly string[];
  readonly handle: WorkflowHandle;
  readonly runDirectory: string;
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

async function newPlace(): Promise<Harness> {
  const place = await startPlace();
  places.push(place);
  return place;
}

/** Holds a worker before or after the n-th run of a step, until the worker stops. */
function stopAt(step: string, when: 'before' | 'after', nth: number) {
  let reach = (): void => undefined;
  let count = 0;
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const around: Around = async (current, _attempt, run) => {
    if (current !== step || (count += 1) !== nth) return run();
    const { cancellationSignal } = Context.current();
    const result = when === 'after' ? await run() : undefined;
    reach();
    await until('the worker stops', () => cancellationSignal.aborted);
    if (when === 'before') throw new Error('The worker stopped');
    return result;
  };
  return { reached, around };
}

/** Two chunks, one after the other; some of their targets are there before. */
async function terminatedAt(step: string, when: 'before' | 'after', nth: number, request: Partial<BatchBackupRequest> = {}): Promise<Terminated> {
  const place = await newPlace();
  const sources = makeSources(place, 2 * CHUNK);
  mkdirSync(place.path('backups'));
  for (const index of [3, CHUNK + 200]) writePrevious(targetOf(place, sources[index] ?? ''));
  const stop = stopAt(step, when, nth);
  const worker = await startHarness({ like: place, around: stop.around });
  const handle = await startBatch(place, { sourceList: writeList(place, sources), lanes: 1, ...request });
  await stop.reached;
  await handle.terminate('for the test');
  await worker.stop();
  return { place, sources, handle, runDirectory: place.path('backups', '.file-backup', 'runs', (handle as WorkflowHandle & { firstExecutionRunId: string }).firstExecutionRunId) };
}

/** The sweep at a worker's start is over when the worker has ended. */
async function restartWorker(place: Harness): Promise<void> {
  const worker = await startHarness({ like: place });
  await worker.stop();
}

async function sweep({ stateDirectory }: Harness): Promise<{ msg: string; error?: string }[]> {
  const lines: { msg: string; error?: string }[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as { msg: string }) });
  const { clusterId } = await connection.workflowService.getClusterInfo({});
  await sweepStaging({ registry: new StagingRegistry(stateDirectory), pool, client: new Client({ connection }), owner: { clusterId, namespace: 'default' }, log });
  return lines;
}

function summaryOf(runDirectory: string): { state: string; summary: Record<string, number> } {
  return JSON.parse(readFileSync(join(runDirectory, 'summary.json'), 'utf8')) as { state: string; summary: Record<string, number> };
}

function linesOf(runDirectory: string, name: string): number {
  return readFileSync(join(runDirectory, name), 'utf8').split('\n').length - 1;
}

describe('a batch that was terminated', () => {
  test('amid its chunks is sealed by the next worker: a record of what was published, and of what was skipped', async () => {
    const { place, sources, runDirectory } = await terminatedAt('backupChunk', 'before', 2);
    await restartWorker(place);
    expect(readdirSync(runDirectory).sort()).toEqual(recordFiles);
    expect(summaryOf(runDirectory)).toMatchObject({ state: 'terminated', summary: { files: 2 * CHUNK, backedUp: CHUNK, skipped: CHUNK, failed: 0 } });
    expect([linesOf(runDirectory, 'manifest.ndjson'), linesOf(runDirectory, 'failures.ndjson')]).toEqual([CHUNK, CHUNK]);
    expect(registered(place)).toEqual([]);
    for (const source of sources.slice(0, CHUNK)) expect(readFileSync(targetOf(place, source)).equals(readFileSync(source))).toBe(true);
    expect(backups(place)).toHaveLength(CHUNK + 1);
  });

  test.each([
    ['backupChunk', 'after', 1],
    ['backupChunk', 'after', 2],
    ['sealRun', 'before', 1],
  ] as const)('and was to be all or nothing is undone, when it ended at %s, %s (%i)', async (step, when, nth) => {
    const { place, sources, runDirectory } = await terminatedAt(step, when, nth, { onFailure: 'rollBack' });
    const [kept] = [3, CHUNK + 200].map((index) => targetOf(place, sources[index] ?? ''));
    expect(backups(place).length).toBeGreaterThan(2);
    await restartWorker(place);
    expect(backups(place)).toEqual(['file-00003.backup', SECOND]);
    expect(readFileSync(kept ?? '', 'utf8')).toContain('previous content');
    expect(readdirSync(runDirectory).sort()).toEqual(recordFiles);
    expect(registered(place)).toEqual([]);
  });

  test('after it was committed is not undone', async () => {
    const { place, runDirectory } = await terminatedAt('sealRun', 'after', 1, { onFailure: 'rollBack' });
    await restartWorker(place);
    expect(backups(place)).toHaveLength(2 * CHUNK);
    expect(summaryOf(runDirectory)).toMatchObject({ state: 'complete', summary: { backedUp: 2 * CHUNK } });
    expect(registered(place)).toEqual([]);
  });

  test.each(['before', 'after'] as const)('%s its plan was written leaves nothing', async (when) => {
    const { place } = await terminatedAt('planBatch', when, 1);
    // After the step the registry knows that there is a plan: the run gets a record.
    await restartWorker(place);
    expect(backups(place)).toEqual(['file-00003.backup', SECOND]);
    expect(existsSync(place.path('backups', '.file-backup'))).toBe(when === 'after');
    expect(registered(place)).toEqual([]);
  });

  test('publishes nothing any more once the janitor was there, even if a step of it goes on', async () => {
    const place = await newPlace();
    const sources = makeSources(place, 5);
    let goOn = (): void => undefined;
    const swept = new Promise<void>((resolve) => (goOn = resolve));
    let reach = (): void => undefined;
    const reached = new Promise<void>((resolve) => (reach = resolve));
    const around: Around = async (step, _attempt, run) => {
      if (step !== 'backupChunk') return run();
      reach();
      await swept;
      return run();
    };
    const worker = await startHarness({ like: place, around });
    const handle = await startBatch(place, { sources });
    await reached;
    await handle.terminate('for the test');
    expect(await sweep(place)).toEqual([expect.objectContaining({ msg: 'Staging directory of a closed run removed' })]);
    goOn();
    await worker.stop();
    expect(backups(place)).toEqual([]);
  });

  test('is swept once its destination is back', async () => {
    const { place, runDirectory } = await terminatedAt('backupChunk', 'before', 2, { onFailure: 'rollBack' });
    const away = place.path('away');
    renameSync(place.path('backups'), away);
    expect(await sweep(place)).toEqual([expect.objectContaining({ msg: 'Staging directory could not be swept', error: expect.stringContaining('gone') as string })]);
    mkdirSync(place.path('backups'));
    expect(await sweep(place)).toEqual([expect.objectContaining({ msg: 'Staging directory could not be swept' })]);
    expect(backups(place)).toEqual([]);
    renameSync(away, place.path('backups'));
    await sweep(place);
    expect(backups(place)).toEqual(['file-00003.backup', SECOND]);
    expect(readdirSync(runDirectory).sort()).toEqual(recordFiles);
  });
});

test('a batch that follows a terminated one on the same worker, at once, takes over what that has published', async () => {
  const place = await newPlace();
  const sources = makeSources(place, 2 * CHUNK);
  const stop = stopAt('backupChunk', 'before', 2);
  let isStopped = false;
  const worker = await startHarness({
    like: place,
    around: async (step, attempt, run) => {
      if (isStopped) return run();
      return stop.around(step, attempt, run);
    },
  });
  try {
    const first = await startBatch(place, { sourceList: writeList(place, sources), lanes: 1 });
    await stop.reached;
    await first.terminate('for the test');
    isStopped = true;
    const second = await startBatch(place, { sourceList: writeList(place, sources), lanes: 1 });
    expect(await second.result()).toMatchObject({ success: true, totalFiles: 2 * CHUNK, unchangedFiles: CHUNK });
  } finally {
    await worker.stop();
  }
  expect(registered(place)).toEqual([]);
});

describe('what is none of its business stays', () => {
  test('a running batch is not touched, and finishes', async () => {
    const place = await newPlace();
    let swept: unknown[] = ['not yet'];
    const around: Around = async (step, _attempt, run) => {
      if (step === 'backupChunk') swept = await sweep(place);
      return run();
    };
    const worker = await startHarness({ like: place, around });
    const handle = await startBatch(place, { sources: makeSources(place, 3) });
    expect(await handle.result()).toMatchObject({ success: true });
    expect(swept).toEqual([]);
    await worker.stop();
    expect(registered(place)).toEqual([]);
  });

  test('a batch that the server does not know stays, and is reported', async () => {
    const { place, runDirectory } = await terminatedAt('backupChunk', 'before', 2);
    changeEntry(place, (entry) => ({ ...entry, owner: { ...entry.owner, workflowId: 'unknown' } }));
    expect(await sweep(place)).toEqual([expect.objectContaining({ msg: 'Staging directory of a run that this server does not know stays' })]);
    expect(existsSync(join(runDirectory, 'plan'))).toBe(true);
    expect(registered(place)).toHaveLength(1);
  });

  test('a run whose directory was removed since is forgotten', async () => {
    const { place, runDirectory } = await terminatedAt('backupChunk', 'before', 2);
    rmSync(runDirectory, { recursive: true });
    await sweep(place);
    expect(registered(place)).toEqual([]);
    expect(existsSync(runDirectory)).toBe(false);
  });
});

test('a batch that was terminated is swept although another one goes on under its workflow id', async () => {
  const { place, handle } = await terminatedAt('backupChunk', 'before', 2);
  const [entry] = new StagingRegistry(place.stateDirectory).list() as [RegisteredRun];
  let swept: unknown[] = [];
  const around: Around = async (step, _attempt, run) => {
    if (step === 'backupChunk') {
      // The step that plans has swept the destination.
      new StagingRegistry(place.stateDirectory).add(entry);
      swept = [await sweep(place), registered(place).length];
    }
    return run();
  };
  const worker = await startHarness({ like: place, around });
  const second = await startBatch(place, { sources: makeSources(place, 3) }, handle.workflowId);
  expect(await second.result()).toMatchObject({ success: true });
  expect(swept).toEqual([[expect.objectContaining({ msg: 'Staging directory of a closed run removed', status: 'TERMINATED' })], 1]);
  await worker.stop();
});

function changeEntry(place: Harness, change: (entry: RegisteredRun) => RegisteredRun): void {
  const directory = join(place.stateDirectory, 'staging');
  const [name = ''] = registered(place);
  writeFileSync(join(directory, name), JSON.stringify(change(JSON.parse(readFileSync(join(directory, name), 'utf8')) as RegisteredRun)));
}
