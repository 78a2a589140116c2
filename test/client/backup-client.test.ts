import { randomUUID } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { Context } from '@temporalio/activity';
import { Connection } from '@temporalio/client';
import { BackupClient, OperationReusedError, RunNotFoundError, TargetBusyError } from '../../src/client';
import { fileWorkflowId } from '../../src/workflow-ids';
import { InvalidInputError, type FileBackupRequest } from '../../src/models';
import { startHarness, testServerAddress, type Harness } from '../helpers/backup-harness';

/** Workflow ids whose run stops before this step until it is let go. */
const gates = new Map<string, { step: string; open: Promise<void> }>();

let harness: Harness;

beforeAll(async () => {
  harness = await startHarness({
    around: async (step, _attempt, run) => {
      const gate = gates.get(Context.current().info.workflowExecution?.workflowId ?? '');
      if (gate?.step === step) await heldUntil(gate.open);
      return run();
    },
  });
});

afterAll(() => harness?.remove());

let number = 0;

/** A request of its own for each test; the source exists. */
function request(options: Partial<FileBackupRequest> = {}): FileBackupRequest & { sourcePath: string; backupPath: string } {
  number += 1;
  const sourcePath = harness.path(`source-${number}`);
  writeFileSync(sourcePath, `content ${number}`);
  return { sourcePath, backupPath: harness.path(`target-${number}`), retryDelayMs: 100, ...options };
}

/** Holds a backup before the step; returns what lets it go. */
function hold({ backupPath }: FileBackupRequest, step = 'publishFile'): () => void {
  let release = (): void => undefined;
  gates.set(fileWorkflowId(harness.taskQueue, backupPath), { step, open: new Promise((resolve) => (release = resolve)) });
  return release;
}

/** Heartbeats as a real step does: a cancellation arrives by that. */
async function heldUntil(open: Promise<void>): Promise<void> {
  const context = Context.current();
  const heartbeat = setInterval(() => context.heartbeat(), 100);
  try {
    await Promise.race([open, context.cancelled]);
  } finally {
    clearInterval(heartbeat);
  }
}

async function runsOf({ backupPath }: FileBackupRequest): Promise<number> {
  const query = `WorkflowId = '${fileWorkflowId(harness.taskQueue, backupPath)}'`;
  return (await harness.temporal.workflow.count(query)).count;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('It did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('wrong input is refused before anything is started', async () => {
  const wrong = request({ maxRetries: 11 });
  await expect(harness.client.backupFile(wrong)).rejects.toThrow(InvalidInputError);
  await expect(harness.client.startBackupFile({ ...wrong, maxRetries: 1, sourcePath: 'relative' })).rejects.toThrow(InvalidInputError);
  await expect(harness.client.startBackupFile({ ...wrong, maxRetries: 1, colour: 'red' } as FileBackupRequest)).rejects.toThrow(InvalidInputError);
  await expect(harness.client.describe(fileWorkflowId(harness.taskQueue, wrong.backupPath))).rejects.toThrow(RunNotFoundError);
});

test('the result is frozen through and through', async () => {
  const result = await harness.client.backupFile(request());
  expect(result.success).toBe(true);
  expect([result, result.warnings, result.rollback, result.rollback.steps, result.createdDirectories].every(Object.isFrozen)).toBe(true);
});

test('metadata reaches the memo of the run', async () => {
  const run = await harness.client.startBackupFile(request({ metadata: { ticket: 'OPS-7', reason: 'before the upgrade' } }));
  await run.result();
  const { memo } = await harness.temporal.workflow.getHandle(run.workflowId).describe();
  expect(memo).toMatchObject({ metadata: { ticket: 'OPS-7', reason: 'before the upgrade' } });
});

describe('the same operation sent twice', () => {
  test('at once runs once, and both get the one result', async () => {
    const same = request({ operationId: randomUUID() });
    const release = hold(same);
    const handles = await Promise.all([harness.client.startBackupFile(same), harness.client.startBackupFile(same)]);
    expect(handles.map(({ attached }) => attached).sort()).toEqual([false, true]);
    release();
    const [first, second] = await Promise.all(handles.map((handle) => handle.result()));
    expect(first).toMatchObject({ success: true, operationId: same.operationId });
    expect(second).toEqual(first);
    await until(async () => (await runsOf(same)) === 1);
  });

  test('after its end gets the result of then, and the target is not touched', async () => {
    const same = request({ operationId: randomUUID() });
    const first = await harness.client.backupFile(same);
    writeFileSync(same.backupPath, 'changed since');
    const again = await harness.client.startBackupFile(same);
    expect(again.attached).toBe(true);
    expect(await again.result()).toEqual(first);
    expect(readFileSync(same.backupPath, 'utf8')).toBe('changed since');
  });

  test('is found although other operations have written the target since', async () => {
    const same = request({ operationId: randomUUID() });
    const first = await harness.client.backupFile(same);
    await harness.client.backupFile({ ...same, operationId: randomUUID() });
    await until(async () => (await harness.temporal.workflow.count(`FileBackupOperationId = '${same.operationId}'`)).count === 1);
    const { ino } = statSync(same.backupPath);
    expect(await harness.client.backupFile(same)).toEqual(first);
    expect(statSync(same.backupPath).ino).toBe(ino);
  });

  test('with other input is refused, while it runs and after its end', async () => {
    const same = request({ operationId: randomUUID() });
    const release = hold(same);
    const running = await harness.client.startBackupFile(same);
    await expect(harness.client.backupFile({ ...same, verifyBackup: false })).rejects.toThrow(OperationReusedError);
    release();
    expect(await running.result()).toMatchObject({ success: true });
    await expect(harness.client.backupFile({ ...same, verifyBackup: false })).rejects.toThrow(OperationReusedError);
    await until(async () => (await harness.temporal.workflow.count(`FileBackupOperationId = '${same.operationId}'`)).count === 1);
    await expect(harness.client.backupFile({ ...same, backupPath: `${same.backupPath}-other` })).rejects.toThrow(OperationReusedError);
  });
});

test('equal input for a target that is being written attaches to that run', async () => {
  const equal = request();
  const release = hold(equal);
  const first = await harness.client.startBackupFile(equal);
  const second = await harness.client.startBackupFile(equal);
  expect(second).toMatchObject({ attached: true, runId: first.runId, operationId: first.operationId });
  release();
  expect(await second.result()).toEqual(await first.result());
  const third = await harness.client.startBackupFile(equal);
  expect(third.attached).toBe(false);
  expect(await third.result()).toMatchObject({ success: true, publishedBy: 'rename' });
});

test('other input for a target that is being written is turned away, and the run goes on unharmed', async () => {
  const first = request();
  const other = { ...request(), backupPath: first.backupPath };
  const release = hold(first);
  const running = await harness.client.startBackupFile(first);
  await expect(harness.client.startBackupFile(other)).rejects.toThrow(TargetBusyError);
  expect(await harness.client.backupFile(other)).toMatchObject({
    success: false,
    errorCode: 'TargetBusy',
    errorMessage: expect.stringContaining(running.operationId) as string,
    rollback: { status: 'notNeeded', steps: [] },
    rollbackPerformed: false,
  });
  release();
  expect(await running.result()).toMatchObject({ success: true });
  expect(readFileSync(first.backupPath, 'utf8')).toBe(readFileSync(first.sourcePath, 'utf8'));
});

test('clients of two queues that name one storage exclude each other', async () => {
  const connection = await Connection.connect({ address: testServerAddress() });
  const elsewhere = new BackupClient({ connection, namespace: 'default', taskQueue: 'another-queue', storage: harness.taskQueue });
  try {
    const first = request();
    const release = hold(first);
    const running = await harness.client.startBackupFile(first);
    await expect(elsewhere.startBackupFile({ ...request(), backupPath: first.backupPath })).rejects.toThrow(TargetBusyError);
    release();
    await running.result();
  } finally {
    await elsewhere.close();
  }
});

test('a terminated run is a failed backup of which no more is known', async () => {
  const terminated = request();
  const release = hold(terminated);
  const run = await harness.client.startBackupFile(terminated);
  await harness.temporal.workflow.getHandle(run.workflowId).terminate('no longer wanted');
  expect(await run.result()).toMatchObject({ success: false, errorCode: 'Terminated', operationId: run.operationId, rollbackPerformed: false, rollback: { status: 'failed' } });
  release();
});

test('a cancelled run answers with its record, and says that it was undone', async () => {
  const cancelled = request();
  writeFileSync(cancelled.backupPath, 'previous');
  hold(cancelled);
  const run = await harness.client.startBackupFile(cancelled);
  const { workflowId, operationId } = run;
  await until(async () => (await harness.client.describe(workflowId)).pendingSteps.some(({ step }) => step === 'publishFile'));
  expect(await harness.client.cancel(workflowId)).toMatchObject({ operationId, status: 'RUNNING' });
  expect(await run.result()).toMatchObject({ success: false, errorCode: 'Cancelled', operationId, rollbackPerformed: true, rollback: { status: 'performed' } });
  expect(readFileSync(cancelled.backupPath, 'utf8')).toBe('previous');
  expect((await harness.client.describe(workflowId)).status).toBe('CANCELLED');
});

test('a run is described and cancelled by its operation id with no worker alive', async () => {
  const connection = await Connection.connect({ address: testServerAddress() });
  const client = new BackupClient({ connection, namespace: 'default', taskQueue: `nobody-${randomUUID()}` });
  try {
    const unserved = request();
    const { operationId, workflowId, runId } = await client.startBackupFile(unserved);
    await until(async () => (await harness.temporal.workflow.count(`FileBackupOperationId = '${operationId}'`)).count === 1);
    expect(await client.describe(operationId)).toMatchObject({ workflowId, runId, status: 'RUNNING', state: 'interrupted', backupPath: unserved.backupPath, pendingSteps: [] });
    expect(await client.progress({ workflowId, runId })).toMatchObject({ isRunning: true, step: undefined, movedBytes: 0 });
    expect(await client.cancel(operationId)).toMatchObject({ workflowId, status: 'RUNNING' });
    const events = (await harness.temporal.workflow.getHandle(workflowId, runId).fetchHistory()).events ?? [];
    expect(events.filter((event) => event.workflowExecutionCancelRequestedEventAttributes)).toHaveLength(1);
    await harness.temporal.workflow.getHandle(workflowId, runId).terminate();
  } finally {
    await client.close();
  }
});

test('runs of other kinds are not described', async () => {
  const workflowId = `other-${randomUUID()}`;
  await harness.temporal.workflow.start('somethingElse', { workflowId, taskQueue: `nobody-${randomUUID()}` });
  await expect(harness.client.describe(workflowId)).rejects.toThrow(RunNotFoundError);
  await expect(harness.client.cancel(workflowId)).rejects.toThrow(RunNotFoundError);
  await harness.temporal.workflow.getHandle(workflowId).terminate();
});

test('a worker that was never told what it may touch refuses, with the option that would allow it', async () => {
  const refused = await harness.client.backupFile({ ...request(), sourcePath: '/etc/hostname' });
  expect(refused).toMatchObject({ success: false, errorCode: 'SourceNotAllowed', errorMessage: expect.stringContaining('--source-root') as string });
});
