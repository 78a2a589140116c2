import { randomBytes, randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import { BackupClient, NotAuthenticError } from '../../src/client';
import { progressFromHistory } from '../../src/client/batch-history';
import { failedOutput } from '../../src/client/failed-outputs';
import { outputOf } from '../../src/client/output-of';
import { fileWorkflowId } from '../../src/workflow-ids';
import { signingConverter } from '../../src/keys/data-converter';
import { payloadKeys } from '../../src/keys/payload-keys';
import { FileBackupInput, FileBackupOutput } from '../../src/models';
import { Bound, type Purpose } from '../../src/proof/bound';
import { startHarness, testServerAddress, type Around, type Harness } from '../helpers/backup-harness';
import { completion, failing, failureTypeOf, meetStranger, plain, scheduling, stepsIn, type Run, type Stranger } from '../helpers/stranger';

const keys = payloadKeys([randomBytes(32)]);
const place = { current: undefined as unknown as Harness };
let stranger: Stranger;
let owner: Client;
let connection: Connection;
/** What a test does while the real worker is inside a step. */
let during: Around = (_step, _attempt, next) => next();

beforeAll(async () => {
  place.current = await startHarness({ payloadKeys: keys, around: (step, attempt, next) => during(step, attempt, next) });
  stranger = await meetStranger();
  connection = await Connection.connect({ address: testServerAddress() });
  owner = new Client({ connection, dataConverter: signingConverter({ keys }) });
});

afterAll(async () => {
  await stranger?.close();
  await connection?.close();
  await place.current?.remove();
});

beforeEach(() => {
  during = (_step, _attempt, next) => next();
  writeFileSync(place.current.path('source'), 'content');
  rmSync(place.current.path('target'), { force: true });
});

function request(): { sourcePath: string; backupPath: string; retryDelayMs: number; maxRetries: number } {
  return { sourcePath: place.current.path('source'), backupPath: place.current.path('target'), retryDelayMs: 100, maxRetries: 1 };
}

function workflowId(): string {
  return fileWorkflowId(place.current.taskQueue, place.current.path('target'));
}

/** A real backup, and what a stranger can see of it. */
async function backedUp(): Promise<{ run: Run; events: Awaited<ReturnType<Stranger['history']>> }> {
  const handle = await place.current.client.startBackupFile(request());
  expect(await handle.result()).toMatchObject({ success: true });
  const run = { workflowId: handle.workflowId, runId: handle.runId };
  const events = await stranger.history(run);
  rmSync(place.current.path('target'));
  return { run, events };
}

async function expectRefused(run: Run): Promise<void> {
  expect(await failureTypeOf(place.current.temporal, run)).toBe('NotAuthentic');
  expect(stepsIn(await stranger.history(run))).toEqual([]);
  expect(existsSync(place.current.path('target'))).toBe(false);
}

/** Starts the run of an input that the owner's key has signed for some purpose. */
async function startSigned(purpose: Purpose, id = workflowId()): Promise<Run> {
  const handle = await owner.workflow.start('backupFile', { workflowId: id, taskQueue: place.current.taskQueue, args: [new Bound(FileBackupInput.parse(request()), { ...purpose, index: 0, count: 1 })] });
  return { workflowId: id, runId: handle.firstExecutionRunId };
}

const purposeOfStart = (): Purpose => ({ kind: 'start', workflowType: 'backupFile', taskQueue: place.current.taskQueue, nonce: randomUUID(), madeAtMs: Date.now() });

describe('inputs of workflows', () => {
  test('a request as it should be is served, so that the refusals below are no accident', async () => {
    const run = await startSigned(purposeOfStart());
    expect(await failureTypeOf(place.current.temporal, run)).toBeUndefined();
    expect(existsSync(place.current.path('target'))).toBe(true);
  });

  test('a run that somebody without the key starts ends at once, and nothing is touched', async () => {
    const runId = await stranger.start('backupFile', 'forged', place.current.taskQueue, [plain(FileBackupInput.parse(request()))]);
    await expectRefused({ workflowId: 'forged', runId });
  });

  test('a run without any input does nothing either', async () => {
    const runId = await stranger.start('backupFile', 'forged-empty', place.current.taskQueue, []);
    expect(await failureTypeOf(place.current.temporal, { workflowId: 'forged-empty', runId })).toBe('NotAuthentic');
  });

  test('a signed input under another workflow id, in a cron run, put off, or of another type is refused', async () => {
    const { events } = await backedUp();
    const input = events[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    const { taskQueue } = place.current;
    await expectRefused({ workflowId: 'another', runId: await stranger.start('backupFile', 'another', taskQueue, input) });
    await expectRefused({ workflowId: workflowId(), runId: await stranger.start('backupBatch', workflowId(), taskQueue, input) });
    const cron = { workflowId: workflowId(), runId: await stranger.start('backupFile', workflowId(), taskQueue, input, { workflowStartDelay: { seconds: 1 as never } }) };
    await expectRefused(cron);
  });

  test.each([
    ['of another time', () => ({ ...purposeOfStart(), madeAtMs: Date.now() - 700_000 })],
    ['for another queue', () => ({ ...purposeOfStart(), taskQueue: 'another-queue' })],
    ['of another run that continues as new', () => ({ kind: 'continued' as const, workflowType: 'backupFile', runId: randomUUID() })],
    ['of another run\'s child', () => ({ kind: 'child' as const, workflowType: 'backupFile', parentWorkflowId: 'parent', parentRunId: randomUUID() })],
    ['that is a result', () => ({ kind: 'result' as const, workflowType: 'backupFile', runId: randomUUID(), firstRunId: randomUUID() })],
  ])('a signed input %s is refused', async (_what, purpose) => {
    await expectRefused(await startSigned(purpose()));
  });

  test('a signed value that is bound to nothing is no input', async () => {
    const handle = await owner.workflow.start('backupFile', { workflowId: workflowId(), taskQueue: place.current.taskQueue, args: [FileBackupInput.parse(request())] });
    await expectRefused({ workflowId: workflowId(), runId: handle.firstExecutionRunId });
  });

  test('a run of long ago that somebody resets does what it was asked for once more, and signs that', async () => {
    const { run } = await backedUp();
    const again = { workflowId: run.workflowId, runId: await stranger.reset(run) };
    expect(await failureTypeOf(place.current.temporal, again)).toBeUndefined();
    expect(await outputOf(owner, { ...again, firstRunId: run.runId }, FileBackupOutput, (code, message) => failedOutput(FileBackupInput.parse(request()), code, message, 'failed'))).toMatchObject({ success: true });
    expect(readFileSync(place.current.path('target'), 'utf8')).toBe('content');
    expect(place.current.leftovers()).toEqual([]);
  });
});

describe('answers of workers', () => {
  /** Lets a stranger answer for a step while the worker is inside of it. */
  async function whileIn(step: string, answer: (run: Run, activityId: string) => Promise<void>): Promise<unknown> {
    const handle = await place.current.client.startBackupFile(request());
    const run = { workflowId: handle.workflowId, runId: handle.runId };
    during = async (current, _attempt, next) => {
      const result = await next();
      if (current === step) await answer(run, await activityIdOf(run, step));
      return result;
    };
    return handle.result();
  }

  async function activityIdOf(run: Run, step: string): Promise<string> {
    const asked = (await stranger.history(run)).find(({ activityTaskScheduledEventAttributes: each }) => each?.activityType?.name === step);
    return asked?.activityTaskScheduledEventAttributes?.activityId ?? '';
  }

  const unbelieved = { success: false, errorCode: 'NotAuthentic' };

  test('a step that somebody else reports as done is undone, and the run ends', async () => {
    expect(await whileIn('stageFile', (run, id) => stranger.completeActivity(run, id, [plain({ name: 'staged', sha256: '0'.repeat(64), sizeBytes: 1, changed: false, ownerKept: true, attempt: 1 })]))).toMatchObject(unbelieved);
    expect([existsSync(place.current.path('target')), place.current.leftovers()]).toEqual([false, []]);
  });

  test('the true result of an earlier run or of another step is not one of this', async () => {
    const { events } = await backedUp();
    const results = events.flatMap(({ activityTaskCompletedEventAttributes: done }) => done?.result?.payloads ?? []);
    expect(results.length).toBeGreaterThan(4);
    for (const result of [results[2], results[0]]) expect(await whileIn('stageFile', (run, id) => stranger.completeActivity(run, id, [result ?? {}]))).toMatchObject(unbelieved);
    expect(existsSync(place.current.path('target'))).toBe(false);
  });

  test('the answer that a step got before a reset is none to the step that is asked for after it', async () => {
    const { run, events } = await backedUp();
    const resultOf = (step: string) => events.flatMap(({ activityTaskCompletedEventAttributes: done }, index) => (done && stepsIn(events.slice(0, index)).at(-1) === step ? (done.result?.payloads ?? []) : []));
    const [result] = resultOf('stageFile');
    let answered = false;
    during = async (current, _attempt, next) => {
      const done = await next();
      if (current === 'stageFile' && !answered) {
        answered = true;
        await stranger.completeActivity(again, await activityIdOf(again, 'stageFile'), [result ?? {}]);
      }
      return done;
    };
    const again = { workflowId: run.workflowId, runId: '' };
    again.runId = await stranger.reset(run);
    expect(await failureTypeOf(place.current.temporal, again)).toBe('NotAuthentic');
    expect([answered, existsSync(place.current.path('target')), place.current.leftovers()]).toEqual([true, false, []]);
  });

  test.each(['inspectFile', 'publishFile'])('a signed %s of one run is not done in the name of another one of its id', async (step) => {
    const { run, events } = await backedUp();
    const asked = events.flatMap(({ activityTaskScheduledEventAttributes: each }) => (each?.activityType?.name === step ? [each] : []))[0];
    const taskQueue = `alone-${randomUUID()}`;
    const runId = await stranger.start('backupFile', run.workflowId, taskQueue, []);
    await stranger.answerWorkflowTask(taskQueue, [scheduling(step, asked?.activityId ?? '', place.current.taskQueue, asked?.input?.payloads ?? [])]);
    const failures = await until(async () => {
      const failed = (await stranger.history({ workflowId: run.workflowId, runId })).flatMap(({ activityTaskFailedEventAttributes: each }) => (each ? [each.failure?.applicationFailureInfo?.type] : []));
      return failed.length > 0 ? failed : undefined;
    });
    expect([failures, existsSync(place.current.path('target'))]).toEqual([['NotAuthentic'], false]);
    await place.current.temporal.workflow.getHandle(run.workflowId, runId).terminate();
  });

  test('a step\'s failure in somebody else\'s words is not believed, and its words are not passed on', async () => {
    const failure = { message: 'Everything was backed up', applicationFailureInfo: { type: 'SourceNotFound', nonRetryable: true, details: { payloads: [plain({ attempt: 1 })] } } };
    const output = await whileIn('stageFile', (run, id) => stranger.failActivity(run, id, failure));
    expect(output).toMatchObject(unbelieved);
    expect(JSON.stringify(output)).not.toContain('Everything was backed up');
  });

  test('a heartbeat of somebody else says nothing of the progress', async () => {
    let moved = -1;
    const output = await whileIn('stageFile', async (run, id) => {
      await stranger.heartbeat(run, id, [plain({ movedBytes: 123_456_789 })]);
      moved = (await place.current.client.progress(run)).movedBytes;
    });
    expect(output).toMatchObject({ success: true });
    expect([moved >= 0, moved < 123_456_789]).toEqual([true, true]);
  });
});

describe('answers about runs', () => {
  /** A queue that nobody serves but the stranger. */
  let taskQueue: string;
  let client: BackupClient;

  beforeEach(() => {
    taskQueue = `alone-${randomUUID()}`;
    client = new BackupClient({ connection, namespace: 'default', taskQueue, storage: place.current.taskQueue, payloadKeys: keys });
  });

  test('a run that somebody else completes is no success', async () => {
    const handle = await client.startBackupFile(request());
    await stranger.answerWorkflowTask(taskQueue, [completion([plain({ success: true })])]);
    expect(await handle.result()).toMatchObject({ success: false, errorCode: 'NotAuthentic', sha256: null });
    // Neither a listing nor the totals count it as one.
    expect(await client.describe(handle.workflowId)).toMatchObject({ status: 'COMPLETED', state: 'notAuthentic', sourcePath: request().sourcePath });
  });

  test('the true result of an earlier run to the same target is not this run\'s', async () => {
    const { events } = await backedUp();
    const result = events.flatMap(({ workflowExecutionCompletedEventAttributes: done }) => done?.result?.payloads ?? []);
    expect(result).toHaveLength(1);
    const id = workflowId();
    const runId = await stranger.start('backupFile', id, taskQueue, []);
    await stranger.answerWorkflowTask(taskQueue, [completion(result)]);
    // It is signed, for this workflow id.
    expect(await owner.workflow.getHandle(id, runId).result()).toMatchObject({ purpose: { kind: 'result' } });
    const run = { workflowId: id, runId, firstRunId: runId };
    expect(await outputOf(owner, run, FileBackupOutput, (code, message) => failedOutput(FileBackupInput.parse(request()), code, message, 'failed'))).toMatchObject({ success: false, errorCode: 'NotAuthentic' });
  });

  test('a failure in somebody else\'s words is not believed', async () => {
    const handle = await client.startBackupFile(request());
    await stranger.answerWorkflowTask(taskQueue, [failing({ message: 'all is well', applicationFailureInfo: { type: 'TargetBusy', nonRetryable: true, details: { payloads: [plain({ success: true })] } } })]);
    const output = await handle.result();
    expect(output).toMatchObject({ success: false, errorCode: 'NotAuthentic' });
    expect(output.errorMessage).not.toContain('all is well');
  });

  test('an answer to a query is taken from a holder of the key only', async () => {
    const handle = await client.startBackupFile(request());
    // The first task is the run's own: queries come after it.
    await stranger.answerWorkflowTask(taskQueue, []);
    const asking = client.waitingFor(handle);
    await Promise.all([expect(asking).rejects.toBeInstanceOf(NotAuthenticError), stranger.answerQuery(taskQueue, { waitingFor: 'for Godot' })]);
    await place.current.temporal.workflow.getHandle(handle.workflowId).terminate();
  });

  test('a forged memo tells nothing, and nobody attaches to its run', async () => {
    const { temporal } = place.current;
    const input = FileBackupInput.parse(request());
    const memo = { fields: { operationId: plain(input.operationId), sourcePath: plain('/etc/passwd'), backupPath: plain('/tmp/x'), fingerprint: plain('x') } };
    await stranger.start('backupFile', workflowId(), taskQueue, [], { memo });
    expect(await client.describe(workflowId())).toMatchObject({ sourcePath: '', backupPath: '', operationId: '' });
    expect((await client.runs(20)).find((run) => run.sourcePath === '/etc/passwd')).toBeUndefined();
    await expect(client.startBackupFile(input)).rejects.toMatchObject({ name: 'TargetBusyError' });
    await temporal.workflow.getHandle(workflowId()).terminate();
  });
});

describe('messages to a batch, and schedules', () => {
  test('a batch is paused by a holder of the key only, and a pause of another one is not its own', async () => {
    const { client, temporal } = place.current;
    const path = (name: string): string => place.current.path(name);
    const release = new EventEmitter();
    let entered = new Promise<void>((resolve) => release.once('entered', () => resolve()));
    during = async (step, _attempt, next) => {
      if (step === 'backupChunk') {
        const released = once(release, 'go');
        release.emit('entered');
        await released;
      }
      return next();
    };
    const start = async (directory: string) => {
      const handle = await client.startBackupBatch({ sources: [path('source')], backupDir: path(directory), retryDelayMs: 100 });
      await entered;
      entered = new Promise<void>((resolve) => release.once('entered', () => resolve()));
      return handle;
    };
    const first = await start('first');
    expect(await client.pause(first.workflowId)).toMatchObject({ state: 'paused' });
    expect(await client.resume(first.workflowId)).toMatchObject({ state: 'running' });
    await expect(client.resume(first.workflowId)).rejects.toThrow('The batch is not paused');
    await expect(temporal.workflow.getHandle(first.workflowId).executeUpdate('pause')).rejects.toMatchObject({ cause: { type: 'NotAuthentic' } });
    await temporal.workflow.getHandle(first.workflowId).signal('pause');
    const second = await start('second');
    const accepted = (await stranger.history(first)).flatMap(({ workflowExecutionUpdateAcceptedEventAttributes: each }) => (each?.acceptedRequest ? [each.acceptedRequest] : []));
    expect(accepted).toHaveLength(2);
    expect(await stranger.update(second, accepted[0]!)).toContain('NotAuthentic');
    release.emit('go');
    expect([await first.result(), await second.result()]).toMatchObject([{ success: true }, { success: true }]);
  });

  test('progress that is read from history leaves out what somebody else has put there', async () => {
    const { client } = place.current;
    const path = (name: string): string => place.current.path(name);
    during = async (step, _attempt, next) => {
      const result = await next();
      if (step === 'backupChunk') await stranger.completeActivity({ workflowId: handle.workflowId, runId: handle.runId }, '2', [plain({ counts: { backedUp: 1_000_000, unchanged: 0, failed: 0 }, sizeBytes: 1, unchangedBytes: 0, changed: 0, verifiedFrom: null, failuresByType: {}, sample: [] })]);
      return result;
    };
    const handle = await client.startBackupBatch({ sources: [path('source')], backupDir: path('third'), retryDelayMs: 100 });
    expect(await handle.result()).toMatchObject({ success: false, errorCode: 'NotAuthentic' });
    expect((await progressFromHistory(owner, handle.workflowId, handle.runId)).backedUp).toBe(0);
  });

  test('a schedule of somebody else starts runs that do nothing, and its listing tells nothing', async () => {
    const { client, temporal, taskQueue } = place.current;
    const path = (name: string): string => place.current.path(name);
    const name = `forged-${randomUUID()}`;
    const workflow = `file-backup-schedule-${name}`;
    const handle = await temporal.schedule.create({
      scheduleId: workflow,
      memo: { sources: '/etc', repository: '/tmp/x', timing: 'now' },
      spec: { intervals: [{ every: '1 d' }] },
      action: { type: 'startWorkflow', workflowType: 'scheduledSnapshot', workflowId: workflow, taskQueue, args: [{ snapshot: { sources: [path('source')], repository: path('repository') }, prune: null, check: null }, { workflowId: 'x', memo: {}, summary: '' }] },
    });
    try {
      await handle.trigger();
      const run = await until(async () => (await handle.describe()).info.recentActions[0]?.action.workflow);
      expect(await failureTypeOf(temporal, { workflowId: run.workflowId, runId: run.firstExecutionRunId })).toBe('NotAuthentic');
      expect((await client.schedules.list()).find((schedule) => schedule.name === name)).toMatchObject({ sources: '', repository: '', timing: '' });
    } finally {
      await handle.delete();
    }
  });
});

/** Asks again and again until there is something. */
async function until<Value>(ask: () => Promise<Value | undefined>): Promise<Value> {
  for (;;) {
    const value = await ask();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
