import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { FileBackupHandle } from '../../src/client';
import { attemptsSoFar } from '../../src/activities/attempts';
import { failure } from '../../src/failures';
import { payloadKeys } from '../../src/keys/payload-keys';
import { fileWorkflowId } from '../../src/workflow-ids';
import { startHarness, type Harness } from '../helpers/backup-harness';
import { makeSources, outputOf, progressOf, startBatch, targetOf } from '../helpers/batch';
import { startServer, stopServer, type TestServer } from '../helpers/server';
import { StepHold } from '../helpers/step-hold';
import { sha256Of, stateOf, until, writePrevious } from '../helpers/target-state';
import { temporalCli } from '../helpers/temporal-cli';

jest.setTimeout(120_000);

const hold = new StepHold();
let harness: Harness;
let source: string;
let held = 0;

beforeAll(async () => {
  harness = await startHarness({ around: hold.around });
  source = harness.path('source');
  writeFileSync(source, 'content of the source\n'.repeat(1000), { mode: 0o640 });
});

afterAll(() => harness?.remove());

/** A run that is held at a step, over a previous target. */
async function heldAt(step: string, name: string): Promise<{ readonly run: FileBackupHandle; readonly target: string; readonly before: ReturnType<typeof stateOf>; readonly activity: readonly string[] }> {
  const target = harness.path(name);
  const before = writePrevious(target);
  hold.next(step, hold.untilStopped);
  const run = await harness.client.startBackupFile({ sourcePath: source, backupPath: target, maxRetries: 1, retryDelayMs: 100 });
  const { workflowId, activityId } = await hold.activity((held += 1));
  return { run, target, before, activity: ['--workflow-id', workflowId, '--activity-id', activityId] };
}

describe('temporal workflow', () => {
  test('cancel undoes the run', async () => {
    const { run, target, before } = await heldAt('verifyFile', 'cancelled');
    await temporalCli(['workflow', 'cancel', '--workflow-id', run.workflowId]);
    await expect(run.result()).resolves.toMatchObject({ errorCode: 'Cancelled', rollback: { status: 'performed' } });
    expect(stateOf(target)).toEqual(before);
  });

  test('cancel by a query does the same as a batch job, which can be listed and described', async () => {
    const { run, target, before } = await heldAt('stageFile', 'cancelled-by-query');
    await until('the run can be found', async () => (await temporalCli(['workflow', 'list', '--query', `WorkflowId = '${run.workflowId}'`, '--output', 'json'])).includes(run.workflowId));
    await temporalCli(['workflow', 'cancel', '--query', `WorkflowId = '${run.workflowId}'`, '--reason', 'maintenance', '--yes']);
    await expect(run.result()).resolves.toMatchObject({ errorCode: 'Cancelled' });
    expect(stateOf(target)).toEqual(before);
    const [job] = JSON.parse(await temporalCli(['batch', 'list', '--output', 'json'])) as { readonly jobId: string }[];
    await expect(temporalCli(['batch', 'describe', '--job-id', job?.jobId ?? '', '--output', 'json'])).resolves.toContain('maintenance');
  });

  test('terminate leaves the target as it is, and the next worker removes what was staged', async () => {
    const { run, target, before } = await heldAt('verifyFile', 'terminated');
    await temporalCli(['workflow', 'terminate', '--workflow-id', run.workflowId, '--reason', 'enough']);
    await expect(run.result()).resolves.toMatchObject({ success: false, errorCode: 'Terminated' });
    expect(stateOf(target)).toEqual(before);
    await until('the step has stopped', () => hold.isFree());
    await (await startHarness({ like: harness })).stop();
    expect(stateOf(target)).toEqual(before);
    expect(harness.leftovers()).toEqual([]);
  });

  test('delete of a finished run forgets the run, and its backup stays', async () => {
    const target = harness.path('deleted');
    const run = await harness.client.startBackupFile({ sourcePath: source, backupPath: target });
    await run.result();
    // The call of the verb and of the button; the verb itself asks a person first.
    await harness.temporal.workflowService.deleteWorkflowExecution({ namespace: 'default', workflowExecution: { workflowId: run.workflowId } });
    await until('the server has forgotten the run', async () => (await temporalCli(['workflow', 'describe', '--workflow-id', run.workflowId]).catch(() => 'gone')) === 'gone', 100_000);
    expect(sha256Of(target)).toBe(sha256Of(source));
    expect(harness.leftovers()).toEqual([]);
  });

  test('show, describe, list, count, metadata, query, stack, result and trace change nothing', async () => {
    const { run, target, activity } = await heldAt('stageFile', 'looked-at');
    const of = ['--workflow-id', run.workflowId];
    await expect(temporalCli(['workflow', 'show', '--output', 'json', ...of])).resolves.toContain('prepareStaging');
    await expect(temporalCli(['workflow', 'describe', ...of])).resolves.toContain('stageFile');
    await expect(temporalCli(['workflow', 'metadata', ...of])).resolves.toContain('status');
    await expect(temporalCli(['workflow', 'query', '--name', 'status', ...of])).resolves.toContain('stage');
    await expect(temporalCli(['workflow', 'stack', ...of])).resolves.toContain('backupFile');
    await expect(temporalCli(['workflow', 'count'])).resolves.toContain('Total');
    await temporalCli(['activity', 'reset', ...activity]);
    await expect(temporalCli(['workflow', 'trace', ...of])).resolves.toContain('backupFile');
    await expect(temporalCli(['workflow', 'result', ...of])).resolves.toContain('COMPLETED');
    expect(sha256Of(target)).toBe(sha256Of(source));
  });

  test('signal means nothing to a run, which goes on', async () => {
    const { run, target, activity } = await heldAt('stageFile', 'signalled');
    await temporalCli(['workflow', 'signal', '--workflow-id', run.workflowId, '--name', 'hurry', '--input', '"up"']);
    await temporalCli(['activity', 'reset', ...activity]);
    await expect(run.result()).resolves.toMatchObject({ success: true });
    expect(sha256Of(target)).toBe(sha256Of(source));
  });

  test('update pauses a batch, resumes it and sets its lanes; what it does not know is refused', async () => {
    const sources = makeSources(harness, 20);
    hold.next('planBatch', hold.untilStopped);
    const batch = await startBatch(harness, { sources });
    const { activityId } = await hold.activity((held += 1));
    const update = (name: string, ...input: string[]): Promise<string> => temporalCli(['workflow', 'update', 'execute', '--workflow-id', batch.workflowId, '--name', name, ...input.flatMap((value) => ['--input', value])]);
    await update('pause');
    await update('setLanes', '2');
    await expect(update('setLanes', '1000')).rejects.toThrow('Lanes must be a whole number');
    await expect(update('vanish')).rejects.toThrow();
    await temporalCli(['activity', 'reset', '--workflow-id', batch.workflowId, '--activity-id', activityId]);
    await until('the batch is planned and paused', async () => (await progressOf(batch)).state === 'paused');
    expect(existsSync(harness.path('backups', 'file-00000.backup'))).toBe(false);
    await update('resume');
    await expect(outputOf(batch)).resolves.toMatchObject({ success: true, successfulFiles: 20 });
    for (const path of sources) expect(sha256Of(targetOf(harness, path))).toBe(sha256Of(path));
  });

  test('start and signal-with-start begin a backup on a worker without a key, and one at a time for each target', async () => {
    const target = harness.path('started-by-hand');
    const request = ['--type', 'backupFile', '--task-queue', harness.taskQueue, '--workflow-id', fileWorkflowId(harness.taskQueue, target), '--input', JSON.stringify({ sourcePath: source, backupPath: target })];
    hold.next('stageFile', hold.untilStopped);
    await temporalCli(['workflow', 'start', ...request]);
    const { workflowId, activityId } = await hold.activity((held += 1));
    await expect(harness.client.startBackupFile({ sourcePath: source, backupPath: target })).rejects.toThrow('busy');
    await temporalCli(['workflow', 'signal-with-start', '--signal-name', 'hurry', ...request]);
    await temporalCli(['activity', 'reset', '--workflow-id', workflowId, '--activity-id', activityId]);
    await harness.temporal.workflow.getHandle(workflowId).result();
    expect(sha256Of(target)).toBe(sha256Of(source));
  });

  test('start means nothing to a worker with a key: nothing is read or written', async () => {
    const signed = await startHarness({ payloadKeys: payloadKeys([randomBytes(32)]) });
    try {
      writeFileSync(signed.path('source'), 'not for everybody');
      await temporalCli(['workflow', 'start', '--type', 'backupFile', '--task-queue', signed.taskQueue, '--workflow-id', 'by-hand-without-key', '--input', JSON.stringify({ sourcePath: signed.path('source'), backupPath: signed.path('target') })]);
      await expect(signed.temporal.workflow.getHandle('by-hand-without-key').result()).rejects.toMatchObject({ cause: { type: 'NotAuthentic' } });
      expect(readdirSync(signed.directory)).toEqual(['source']);
    } finally {
      await signed.remove();
    }
  });
});

describe('temporal activity', () => {
  test('complete with an answer that is none fails the run, which is undone', async () => {
    const { run, target, before, activity } = await heldAt('stageFile', 'completed-by-hand');
    await temporalCli(['activity', 'complete', ...activity, '--result', '{}']);
    await expect(run.result()).resolves.toMatchObject({ success: false, rollback: { status: 'performed' } });
    expect(stateOf(target)).toEqual(before);
  });

  test('fail fails the step for good, and the run is undone', async () => {
    const { run, target, before, activity } = await heldAt('verifyFile', 'failed-by-hand');
    await temporalCli(['activity', 'fail', ...activity, '--reason', 'I say so']);
    await expect(run.result()).resolves.toMatchObject({ success: false, errorCode: 'UnexpectedError', errorMessage: expect.stringContaining('I say so') as string, rollback: { status: 'performed' } });
    expect(stateOf(target)).toEqual(before);
  });

  test('complete is believed of nobody by a run with a key, which is undone', async () => {
    const own = new StepHold();
    const signed = await startHarness({ around: own.around, payloadKeys: payloadKeys([randomBytes(32)]) });
    try {
      writeFileSync(signed.path('source'), 'signed content');
      own.next('verifyFile', own.untilStopped);
      const run = await signed.client.startBackupFile({ sourcePath: signed.path('source'), backupPath: signed.path('target') });
      const { workflowId, activityId } = await own.activity();
      await temporalCli(['activity', 'complete', '--workflow-id', workflowId, '--activity-id', activityId, '--result', '{"from":"device","attempt":1}']);
      await expect(run.result()).resolves.toMatchObject({ success: false, errorCode: 'NotAuthentic', rollback: { status: 'performed' } });
      expect(readdirSync(signed.directory)).toEqual(['source']);
    } finally {
      await signed.remove();
    }
  });

  test('update-options to fewer attempts ends the step with its next failure, and the run is undone', async () => {
    const target = harness.path('fewer-attempts');
    const before = writePrevious(target);
    hold.next('stageFile', async () => {
      await hold.wait();
      throw failure('DestinationError', 'The disk hiccups', attemptsSoFar());
    });
    const run = await harness.client.startBackupFile({ sourcePath: source, backupPath: target, maxRetries: 5 });
    const { workflowId, activityId } = await hold.activity((held += 1));
    await temporalCli(['activity', 'update-options', '--workflow-id', workflowId, '--activity-id', activityId, '--retry-maximum-attempts', '1']);
    hold.release();
    await expect(run.result()).resolves.toMatchObject({ errorCode: 'DestinationError', retryCount: 0, rollback: { status: 'performed' } });
    expect(stateOf(target)).toEqual(before);
  });

  test('update-options to another queue lets the workers of that queue do the step', async () => {
    const { run, target, activity } = await heldAt('verifyFile', 'moved');
    const other = await startHarness({ like: { ...harness, taskQueue: `${harness.taskQueue}-other` } });
    try {
      await temporalCli(['activity', 'update-options', ...activity, '--task-queue', other.taskQueue]);
      await temporalCli(['activity', 'reset', ...activity]);
      await expect(run.result()).resolves.toMatchObject({ success: true });
      expect(sha256Of(target)).toBe(sha256Of(source));
    } finally {
      await other.stop();
    }
  });
});

describe('temporal workflow pause, where the server allows it', () => {
  let server: TestServer;
  let pausing: Harness;
  const own = new StepHold();

  beforeAll(async () => {
    server = await startServer(process.env.TEST_TEMPORAL_CLI ?? '', ['--dynamic-config-value', 'frontend.WorkflowPauseEnabled=true']);
    pausing = await startHarness({ around: own.around, address: server.address });
  });

  afterAll(async () => {
    await pausing?.remove();
    await stopServer(server?.supervisor);
  });

  test('holds the run, which says by whom and why, and unpause lets it go on to the same end', async () => {
    const sourcePath = pausing.path('source');
    const target = pausing.path('target');
    writeFileSync(sourcePath, 'paused content');
    own.next('stageFile', own.untilStopped);
    const run = await pausing.client.startBackupFile({ sourcePath, backupPath: target, maxRetries: 0 });
    await own.activity();
    await temporalCli(['workflow', 'pause', '--workflow-id', run.workflowId, '--reason', 'the disk is being moved', '--identity', 'anna@ops'], server.address);
    await until('the run is paused', async () => (await pausing.client.describe(run.workflowId)).status === 'PAUSED');
    const { pauses } = await pausing.client.describe(run.workflowId);
    expect(pauses).toContainEqual({ step: undefined, by: expect.any(String) as string, reason: 'the disk is being moved', since: expect.any(String) as string });
    expect(existsSync(target)).toBe(false);
    await temporalCli(['workflow', 'unpause', '--workflow-id', run.workflowId], server.address);
    own.release();
    await expect(run.result()).resolves.toMatchObject({ success: true });
    expect(readFileSync(target, 'utf8')).toBe('paused content');
  });

  test('does not keep a run from being cancelled and undone, once it goes on', async () => {
    mkdirSync(pausing.path('new'));
    const target = pausing.path('new', 'target');
    own.next('stageFile', own.untilStopped);
    const run = await pausing.client.startBackupFile({ sourcePath: pausing.path('source'), backupPath: target });
    await own.activity(2);
    await temporalCli(['workflow', 'pause', '--workflow-id', run.workflowId], server.address);
    await until('the run is paused', async () => (await pausing.client.describe(run.workflowId)).status === 'PAUSED');
    await pausing.client.cancel(run.workflowId);
    await temporalCli(['workflow', 'unpause', '--workflow-id', run.workflowId], server.address);
    await expect(run.result()).resolves.toMatchObject({ errorCode: 'Cancelled' });
    expect(readdirSync(pausing.path('new'))).toEqual([]);
  });
});

test('temporal workflow pause is refused by a server that does not allow it, and the run goes on', async () => {
  const { run, target, activity } = await heldAt('stageFile', 'not-paused');
  await expect(temporalCli(['workflow', 'pause', '--workflow-id', run.workflowId])).rejects.toThrow(/not enabled|not supported|disabled|pause/i);
  await temporalCli(['activity', 'reset', ...activity]);
  await expect(run.result()).resolves.toMatchObject({ success: true });
  expect(sha256Of(target)).toBe(sha256Of(source));
});
