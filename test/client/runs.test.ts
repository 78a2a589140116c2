import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Context } from '@temporalio/activity';
import { AmbiguousIdError, BackupClient, RunNotFoundError, type BackupRun } from '../../src/client';
import { BatchBackupInput, type BatchBackupRequest } from '../../src/batch-models';
import { failure } from '../../src/failures';
import { SnapshotInput } from '../../src/snapshot-models';
import { batchWorkflowId, snapshotWorkflowId } from '../../src/workflow-ids';
import { startHarness, type Harness } from '../helpers/backup-harness';
import { startServer, stopServer, type TestServer } from '../helpers/server';
import { makeRepository, requestOf } from '../helpers/snapshot';
import { until } from '../helpers/target-state';

/** Of its own: listings show what everybody has started. */
let server: TestServer;
let harness: Harness;
/** Starts runs that no worker takes. */
let nobody: BackupClient;
/** Steps of these operations do something else; others are as they are. */
const around = new Map<string, (step: string, run: () => Promise<unknown>) => Promise<unknown>>();

beforeAll(async () => {
  server = await startServer(process.env.TEST_TEMPORAL_CLI ?? 'temporal');
  harness = await startHarness({ address: server.address, around: (step, _attempt, run) => (around.get(Context.current().info.workflowExecution?.workflowId ?? '') ?? ((_step, next) => next()))(step, run) });
  nobody = new BackupClient({ connection: harness.temporal.connection, namespace: 'default', taskQueue: `nobody-${randomUUID()}` });
});

afterAll(async () => {
  await harness?.remove();
  await stopServer(server?.supervisor);
});

let number = 0;

function path(): string {
  number += 1;
  const source = harness.path(`source-${number}`);
  writeFileSync(source, `content ${number}`);
  return source;
}

const fileOf = (source: string, operationId: string = randomUUID()) => ({ sourcePath: source, backupPath: `${source}.backup`, retryDelayMs: 100, operationId });
const batchOf = (source: string) => ({ sources: [source], backupDir: harness.path(`batch-${number}`), retryDelayMs: 100, maxRetries: 0 });

/** Known before it starts. */
function batchIdOf(request: BatchBackupRequest): string {
  return batchWorkflowId(harness.taskQueue, BatchBackupInput.parse(request));
}

/** As it is listed, once the listing knows of it. */
async function listed(workflowId: string, state?: string): Promise<BackupRun> {
  let found: BackupRun | undefined;
  await until(`run ${workflowId} is listed as ${state ?? 'anything'}`, async () => {
    found = (await harness.client.runs(1000)).find((run) => run.workflowId === workflowId);
    return found !== undefined && (state === undefined || found.state === state);
  });
  return found as BackupRun;
}

/** A step that waits until it is cancelled or let go. */
function held(workflowId: string, held: string): { readonly reached: Promise<void>; release(): void } {
  let [release, reach] = [(): void => undefined, (): void => undefined];
  const released = new Promise<void>((resolve) => (release = resolve));
  const reached = new Promise<void>((resolve) => (reach = resolve));
  around.set(workflowId, async (step, next) => {
    if (step !== held) return next();
    reach();
    const heartbeat = setInterval(() => Context.current().heartbeat(), 100);
    await Promise.race([released, Context.current().cancelled]).finally(() => clearInterval(heartbeat));
    return next();
  });
  return { reached, release: () => release() };
}

describe('where a run stands', () => {
  test('a run whose queue nobody polls is interrupted, and one that is terminated is terminated, with its reason', async () => {
    const run = await nobody.startBackupFile(fileOf(path()));
    expect(await listed(run.workflowId)).toMatchObject({ state: 'interrupted', status: 'RUNNING' });
    expect(await nobody.describe(run.workflowId)).toMatchObject({ state: 'interrupted', reason: null });
    await harness.temporal.workflow.getHandle(run.workflowId).terminate('no longer\nwanted');
    expect(await listed(run.workflowId, 'terminated')).toMatchObject({ status: 'TERMINATED' });
    expect((await nobody.describe(run.workflowId)).reason).toMatch(/^Terminated: no longer\nwanted\. /);
  });

  test('a run that ran out of time says so', async () => {
    const workflowId = `file-backup-${randomUUID()}`;
    await harness.temporal.workflow.start('backupFile', { workflowId, taskQueue: 'nobody', workflowExecutionTimeout: '1 s' });
    await listed(workflowId, 'timedOut');
    expect((await harness.client.describe(workflowId)).reason).toMatch(/^TimedOut: /);
  });

  test('a cancelled batch is cancelled, and not failed', async () => {
    const request = batchOf(path());
    const chunk = held(batchIdOf(request), 'backupChunk');
    const run = await harness.client.startBackupBatch(request);
    await chunk.reached;
    await harness.client.cancel(run.workflowId);
    await run.result();
    expect(await listed(run.workflowId, 'cancelled')).toMatchObject({ status: 'CANCELLED' });
    expect(await harness.client.describe(run.workflowId)).toMatchObject({ state: 'cancelled', reason: 'Cancelled: The backup was cancelled' });
  });

  test('a failed run names the type of its failure and what happened, and a good one has no reason', async () => {
    const bad = await harness.client.startBackupFile(fileOf(harness.path('missing')));
    await bad.result();
    expect(await harness.client.describe(bad.operationId)).toMatchObject({ state: 'failed', reason: expect.stringMatching(/^SourceNotFound: .*missing/) as string });
    const good = await harness.client.startBackupFile(fileOf(path()));
    await good.result();
    expect(await harness.client.describe(good.workflowId)).toMatchObject({ state: 'committed', reason: null, status: 'COMPLETED' });
  });

  test('a paused batch is paused, and goes on as active', async () => {
    const request = batchOf(path());
    const chunk = held(batchIdOf(request), 'backupChunk');
    const run = await harness.client.startBackupBatch(request);
    await chunk.reached;
    await harness.client.pause(run.workflowId);
    await listed(run.workflowId, 'paused');
    expect(await harness.client.describe(run.workflowId)).toMatchObject({ state: 'paused', status: 'RUNNING' });
    await harness.client.resume(run.workflowId);
    await listed(run.workflowId, 'active');
    chunk.release();
    expect(await run.result()).toMatchObject({ success: true });
  });

  test('a run that waits for its destination is waiting, and says for what', async () => {
    makeRepository(harness, ['a']);
    const request = requestOf(harness, { maxRetries: 0 });
    around.set(snapshotWorkflowId(harness.taskQueue, SnapshotInput.parse(request)), (step, next) => (step === 'planSnapshot' ? Promise.reject(failure('DestinationGone', 'Made to fail')) : next()));
    const run = await harness.client.startBackupSnapshot(request);
    expect((await listed(run.workflowId, 'waiting')).waitingFor).toMatch(/^destination ill, .*Made to fail/);
    around.delete(run.workflowId);
    await harness.client.cancel(run.workflowId);
    await run.result();
  });
});

describe('the newest runs', () => {
  test('are those that began last, whatever ended last', async () => {
    const [first, second, third] = [await nobody.startBackupFile(fileOf(path())), await nobody.startBackupFile(fileOf(path())), await nobody.startBackupFile(fileOf(path()))];
    for (const { workflowId } of [third, second, first]) {
      await harness.temporal.workflow.getHandle(workflowId).terminate();
      await listed(workflowId, 'terminated');
    }
    expect((await harness.client.runs(1)).map(({ workflowId }) => workflowId)).toEqual([third.workflowId]);
    expect((await harness.client.runs(2)).map(({ workflowId }) => workflowId)).toEqual([third.workflowId, second.workflowId]);
  });

  test('come before older ones that are still under way', async () => {
    const old = await nobody.startBackupFile(fileOf(path()));
    const young = await nobody.startBackupFile(fileOf(path()));
    await harness.temporal.workflow.getHandle(young.workflowId).terminate();
    await listed(young.workflowId, 'terminated');
    expect((await harness.client.runs(2)).map(({ workflowId }) => workflowId)).toEqual([young.workflowId, old.workflowId]);
    await harness.temporal.workflow.getHandle(old.workflowId).terminate();
  });
});

describe('ids', () => {
  const start = randomUUID().slice(0, 6);
  const alike = ['0', '1'].map((digit) => `${start}${digit}${randomUUID().slice(7)}`);

  test('are understood by their beginnings: of an operation, of a run, and of a workflow id', async () => {
    const runs = [];
    for (const operationId of alike) runs.push(await nobody.startBackupFile(fileOf(path(), operationId)));
    const [run] = runs;
    await Promise.all(runs.map(({ workflowId }) => listed(workflowId)));
    // As snapshots are called on the screen.
    for (const id of [alike[0]?.slice(0, 8), alike[0]?.slice(0, 7).toUpperCase(), run?.runId, run?.runId.slice(0, 18), run?.workflowId.slice(0, -4)]) {
      expect(await harness.client.describe(id ?? '')).toMatchObject({ workflowId: run?.workflowId, operationId: alike[0] });
    }
  });

  test('that several begin with are refused with their names', async () => {
    const refused = harness.client.cancel(start);
    await expect(refused).rejects.toThrow(AmbiguousIdError);
    await expect(refused).rejects.toThrow(alike[0]);
    await expect(refused).rejects.toThrow(alike[1]);
  });

  test.each(['00000000', 'file-backup-of-nobody', "it's", 'a', '', 'x'.repeat(1001)])('that nobody has are no run: "%s"', async (id) => {
    await expect(harness.client.describe(id)).rejects.toThrow(RunNotFoundError);
  });
});
