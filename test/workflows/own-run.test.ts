import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } from '@temporalio/worker';
import type { BatchBackupOutput } from '../../src/batch-models';
import { StagingRegistry } from '../../src/storage/staging-registry';
import { createFirstRuns } from '../../src/worker/first-runs';
import { startHarness, testServerAddress, type Harness } from '../helpers/backup-harness';
import { expectAddsUp, makeSources, startBatch } from '../helpers/batch';
import { exactTree } from '../helpers/exact-tree';

let harness: Harness;
afterEach(() => harness?.remove());

/** Lets a step wait until it is released, every attempt at it: nobody heartbeats for one that is held. */
function holding(step: string) {
  let release = (): void => undefined;
  let reach = (): void => undefined;
  const released = new Promise<void>((resolveReleased) => (release = resolveReleased));
  const reached = new Promise<void>((resolveReached) => (reach = resolveReached));
  return {
    around: async (current: string, _attempt: number, next: () => Promise<unknown>) => {
      if (current === step) {
        reach();
        await released;
      }
      return next();
    },
    reached,
    release: () => release(),
  };
}

test('a batch that is reset to its beginning of chunks goes on in its own directory: the chain began with the same run', async () => {
  const hold = holding('backupChunk');
  harness = await startHarness({ around: hold.around });
  const handle = await startBatch(harness, { sources: makeSources(harness, 3), verifyFrom: 'cache', lanes: 1 });
  await hold.reached;
  const first = (handle as WorkflowHandle & { firstExecutionRunId: string }).firstExecutionRunId;
  const { events } = await handle.fetchHistory();
  // After the plan: what follows is done anew.
  const finished = (events ?? []).filter((event) => event.workflowTaskCompletedEventAttributes).at(-1)?.eventId;
  const { runId } = await harness.temporal.workflowService.resetWorkflowExecution({
    namespace: 'default', workflowExecution: { workflowId: handle.workflowId, runId: first }, reason: 'test', requestId: randomUUID(), workflowTaskFinishEventId: finished,
  });
  hold.release();
  expect(runId).not.toBe(first);
  const output = (await harness.temporal.workflow.getHandle(handle.workflowId, runId).result()) as BatchBackupOutput;
  expect(output).toMatchObject({ success: true, totalFiles: 3, runDirectory: expect.stringContaining(first) as string });
  expectAddsUp(output);
  expect(new StagingRegistry(harness.stateDirectory).list()).toEqual([]);
  const connection = await NativeConnection.connect({ address: testServerAddress() });
  expect(await createFirstRuns(connection, 'default')({ workflowId: handle.workflowId, runId })).toBe(first);
  await connection.close();
});

test('the server is asked once for each execution, and again after an answer that failed', async () => {
  const asked: string[] = [];
  let isDown = true;
  const getWorkflowExecutionHistory = ({ execution }: { execution: { runId: string } }): Promise<unknown> => {
    asked.push(execution.runId);
    if (isDown) return Promise.reject(new Error('down'));
    return Promise.resolve({ history: { events: [{ workflowExecutionStartedEventAttributes: { firstExecutionRunId: `first of ${execution.runId}` } }] } });
  };
  const firstRunIdOf = createFirstRuns({ workflowService: { getWorkflowExecutionHistory } } as unknown as NativeConnection, 'default');
  await expect(firstRunIdOf({ workflowId: 'w', runId: 'a' })).rejects.toThrow('down');
  isDown = false;
  const both = await Promise.all([1, 2].map(() => firstRunIdOf({ workflowId: 'w', runId: 'a' })));
  expect([both, asked]).toEqual([['first of a', 'first of a'], ['a', 'a']]);
  for (let each = 0; each < 1100; each += 1) await firstRunIdOf({ workflowId: 'w', runId: `run ${each}` });
  await firstRunIdOf({ workflowId: 'w', runId: 'a' });
  expect(asked.filter((runId) => runId === 'a')).toHaveLength(3);
});

test('whoever may start workflows cannot end, undo or seal the batch of somebody else', async () => {
  const hold = holding('backupChunk');
  harness = await startHarness({ around: hold.around });
  const run = await startBatch(harness, { sources: makeSources(harness, 3), verifyFrom: 'cache', onFailure: 'rollBack' });
  await hold.reached;
  const victim = (run as WorkflowHandle & { firstExecutionRunId: string }).firstExecutionRunId;
  const [entry] = new StagingRegistry(harness.stateDirectory).list();
  expect(entry?.location.runId).toBe(victim);
  const before = exactTree(harness.directory);
  const request = await requestOf(run, 'backupChunk');
  const forger = await startForger();
  try {
    const facts = { state: 'failed', operationId: randomUUID(), metadata: {}, backupDir: harness.path('backups'), layout: 'flat', workflowId: run.workflowId, startedAt: new Date().toISOString(), endedAt: new Date().toISOString() };
    for (const [name, forged] of [['revokeRun', { batch: request.batch }], ['undoChunks', { batch: request.batch, end: 1, count: 1 }], ['sealRun', { batch: request.batch, facts }], ['discardRun', { runId: victim }], ['amendChunk', { batch: request.batch, chunk: 0, amendments: [], storage: 'storage' }]] as const) {
      expect(await forger.failureOf(name, forged)).toBe('NotOwnRun');
    }
    // Its own runs are not refused: there are none.
    expect(await forger.failureOf('discardRun', { runId: '$runId' })).toBe('done');
  } finally {
    await forger.stop();
  }
  expect(exactTree(harness.directory)).toEqual(before);
  hold.release();
  expect((await run.result()) as BatchBackupOutput).toMatchObject({ success: true, totalFiles: 3 });
});

async function requestOf(run: WorkflowHandle, name: string): Promise<{ batch: object }> {
  const { events } = await run.fetchHistory();
  const scheduled = events?.find(({ activityTaskScheduledEventAttributes: each }) => each?.activityType?.name === name)?.activityTaskScheduledEventAttributes;
  return JSON.parse(Buffer.from(scheduled?.input?.payloads?.[0]?.data ?? []).toString()) as { batch: object };
}

/** A workflow of somebody else's, on a queue of theirs, whose activities go to the worker's queue. */
async function startForger() {
  const bundle = await bundleWorkflowCode({ workflowsPath: resolve(__dirname, 'fixtures/any-activity.ts'), logger: new DefaultLogger('ERROR') });
  const connection = await NativeConnection.connect({ address: testServerAddress() });
  const taskQueue = `forger-${randomUUID()}`;
  const worker = await Worker.create({ connection, taskQueue, workflowBundle: bundle });
  const running = worker.run();
  return {
    failureOf: async (name: string, request: unknown): Promise<string> => {
      const handle = await harness.temporal.workflow.start('anyActivity', { taskQueue, workflowId: `forger-${randomUUID()}`, args: [name, request, harness.taskQueue] });
      try {
        await handle.result();
        return 'done';
      } catch (error) {
        if (!(error instanceof WorkflowFailedError)) throw error;
        return ((error.cause as ActivityFailure).cause as ApplicationFailure).type ?? '';
      }
    },
    stop: async () => {
      worker.shutdown();
      await running;
      await connection.close();
    },
  };
}
