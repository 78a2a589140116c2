import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { attemptsSoFar } from '../../src/activities/attempts';
import { failure } from '../../src/failures';
import { payloadKeys } from '../../src/keys/payload-keys';
import { initRepository } from '../../src/storage/snapshot/repository';
import { startHarness, type Harness } from '../helpers/backup-harness';
import { backups, expectAddsUp, makeSources, outputOf, runBatch, startBatch, targetOf } from '../helpers/batch';
import { StepHold, type StepScript } from '../helpers/step-hold';
import { registered, sha256Of, stateOf, until, writePrevious } from '../helpers/target-state';
import { temporalCli } from '../helpers/temporal-cli';

jest.setTimeout(120_000);

const hold = new StepHold();
let harness: Harness;
let source: string;

beforeAll(async () => {
  harness = await startHarness({ around: hold.around });
  source = harness.path('source');
  writeFileSync(source, 'content of the source\n'.repeat(1000), { mode: 0o640 });
});

afterAll(() => harness?.remove());

let held = 0;

/** What an operator does to the step that is held next. */
async function meet(...verb: readonly string[]): Promise<readonly string[]> {
  const { workflowId, activityId } = await hold.activity((held += 1));
  const activity = ['--workflow-id', workflowId, '--activity-id', activityId];
  await temporalCli(['activity', ...verb, ...activity]);
  return activity;
}

async function untilPaused(workflowId: string): Promise<void> {
  await until('the step is paused and at rest', async () => {
    const { raw } = await harness.temporal.workflow.getHandle(workflowId).describe();
    return (raw.pendingActivities ?? []).some(({ paused, state }) => paused === true && Number(state) !== STARTED && Number(state) !== PAUSE_REQUESTED);
  });
}

/** `PENDING_ACTIVITY_STATE_…` */
const STARTED = 2;
const PAUSE_REQUESTED = 5;

const failing: StepScript = () => {
  throw failure('DestinationError', 'The disk hiccups', attemptsSoFar());
};

describe('a step that an operator pauses', () => {
  test('waits, says who paused it and why, and goes on without having lost its only attempt', async () => {
    const sources = makeSources(harness, 30);
    hold.next('backupChunk', hold.untilStopped);
    const batch = await startBatch(harness, { sources, maxRetries: 0 });
    const activity = await meet('pause', '--reason', 'the disk is being moved', '--identity', 'anna@ops');
    await untilPaused(batch.workflowId);
    const { pauses } = await harness.client.describe(batch.workflowId);
    expect(pauses).toEqual([{ step: 'backupChunk', by: 'anna@ops', reason: 'the disk is being moved', since: expect.any(String) as string }]);
    expect(backups(harness)).toHaveLength(0);
    await temporalCli(['activity', 'unpause', ...activity]);
    const output = await outputOf(batch);
    expect(output).toMatchObject({ success: true, successfulFiles: 30 });
    expectAddsUp(output);
    for (const path of sources) expect(sha256Of(targetOf(harness, path))).toBe(sha256Of(path));
    await expect(harness.client.describe(batch.workflowId)).resolves.toMatchObject({ pauses: [] });
  });

  test('has all its retries left for failures of its own, and not one more', async () => {
    const target = harness.path('retries-left');
    hold.next('stageFile', hold.untilStopped, hold.untilStopped, failing);
    const run = await harness.client.startBackupFile({ sourcePath: source, backupPath: target, maxRetries: 1, retryDelayMs: 100 });
    for (let times = 0; times < 2; times += 1) {
      const activity = await meet('pause');
      await untilPaused(run.workflowId);
      await temporalCli(['activity', 'unpause', ...activity]);
    }
    await expect(run.result()).resolves.toMatchObject({ success: true });
    expect(sha256Of(target)).toBe(sha256Of(source));
    hold.next('stageFile', hold.untilStopped, failing, failing, failing);
    const failed = await harness.client.startBackupFile({ sourcePath: source, backupPath: harness.path('none-left', 'target'), maxRetries: 1, retryDelayMs: 100 });
    const activity = await meet('pause');
    await untilPaused(failed.workflowId);
    await temporalCli(['activity', 'unpause', ...activity]);
    await expect(failed.result()).resolves.toMatchObject({ success: false, errorCode: 'DestinationError', rollback: { status: 'performed' } });
    expect(existsSync(harness.path('none-left'))).toBe(false);
    // The third failure was not asked for.
    expect(hold.clear('stageFile')).toBe(1);
  });

  test('is undone at once when the run is cancelled meanwhile', async () => {
    const target = harness.path('paused-and-cancelled');
    const before = writePrevious(target);
    hold.next('verifyFile', hold.untilStopped);
    const run = await harness.client.startBackupFile({ sourcePath: source, backupPath: target });
    await meet('pause');
    await untilPaused(run.workflowId);
    await harness.client.cancel(run.workflowId);
    await expect(run.result()).resolves.toMatchObject({ errorCode: 'Cancelled', rollback: { status: 'performed' } });
    expect(stateOf(target)).toEqual(before);
  });

  test('of undo waits likewise, and undo is whole when it goes on', async () => {
    const target = harness.path('paused-undo');
    const before = writePrevious(target);
    hold.next('publishFile', async (_attempt, run) => {
      await run();
      throw failure('DestinationConflict', 'Made to fail after the target was published');
    });
    hold.next('unpublishFile', hold.untilStopped);
    const run = await harness.client.startBackupFile({ sourcePath: source, backupPath: target, maxRetries: 0 });
    const activity = await meet('pause');
    await untilPaused(run.workflowId);
    expect(sha256Of(target)).toBe(sha256Of(source));
    await temporalCli(['activity', 'unpause', ...activity]);
    await expect(run.result()).resolves.toMatchObject({ errorCode: 'DestinationConflict', rollback: { status: 'performed' } });
    expect(stateOf(target)).toEqual(before);
  });
});

describe('a step that an operator resets', () => {
  test('of a batch without retries is made again, and the batch is whole', async () => {
    const sources = makeSources(harness, 30, 'reset');
    hold.next('backupChunk', hold.untilStopped);
    const batch = await startBatch(harness, { sources, maxRetries: 0, backupDir: harness.path('reset-backups') });
    await meet('reset');
    await expect(outputOf(batch)).resolves.toMatchObject({ success: true, successfulFiles: 30, failedFiles: 0 });
    for (const path of sources) expect(sha256Of(harness.path('reset-backups', `${path.split('/').at(-1)}.backup`))).toBe(sha256Of(path));
  });

  test('of a copy in place without retries is made again', async () => {
    const target = harness.path('in-place');
    writePrevious(target);
    hold.next('writeTarget', hold.untilStopped);
    const run = await harness.client.startBackupFile({ sourcePath: source, backupPath: target, atomic: false, maxRetries: 0 });
    await meet('reset');
    await expect(run.result()).resolves.toMatchObject({ success: true });
    expect(readFileSync(target)).toEqual(readFileSync(source));
  });

  test('in its second attempt goes on too, though the server has lost that one', async () => {
    const target = harness.path('second-attempt');
    hold.next('stageFile', failing, hold.untilStopped);
    const run = await harness.client.startBackupFile({ sourcePath: source, backupPath: target, maxRetries: 1, retryDelayMs: 100 });
    await meet('reset');
    await expect(run.result()).resolves.toMatchObject({ success: true });
    expect(sha256Of(target)).toBe(sha256Of(source));
  });

  test.each(['snapshotChunk', 'restoreChunk'])('%s without retries is made again', async (step) => {
    const { client } = harness;
    const repository = harness.path(`repository-${step}`);
    hold.next('snapshotChunk', ...(step === 'snapshotChunk' ? [hold.untilStopped] : []));
    initRepository(repository);
    const snapshot = await client.startBackupSnapshot({ sources: [source], repository, maxRetries: 0 });
    if (step === 'snapshotChunk') await meet('reset');
    await expect(snapshot.result()).resolves.toMatchObject({ success: true, status: 'complete', files: 1 });
    if (step === 'restoreChunk') hold.next('restoreChunk', hold.untilStopped);
    const restore = await client.startRestoreSnapshot({ repository, snapshot: 'latest', target: harness.path(`restored-${step}`), maxRetries: 0 });
    if (step === 'restoreChunk') await meet('reset');
    await expect(restore.result()).resolves.toMatchObject({ success: true, failedEntries: 0 });
    expect(sha256Of(harness.path(`restored-${step}`, source))).toBe(sha256Of(source));
  });
});

test('interruptions are believed of a worker with the key alone, and a signed run survives a reset of a step as well', async () => {
  const own = new StepHold();
  const signed = await startHarness({ around: own.around, payloadKeys: payloadKeys([randomBytes(32)]) });
  try {
    const sourcePath = signed.path('source');
    writeFileSync(sourcePath, 'signed content');
    own.next('stageFile', own.untilStopped);
    const run = await signed.client.startBackupFile({ sourcePath, backupPath: signed.path('target'), maxRetries: 0 });
    const { workflowId, activityId } = await own.activity();
    await temporalCli(['activity', 'reset', '--workflow-id', workflowId, '--activity-id', activityId]);
    await expect(run.result()).resolves.toMatchObject({ success: true });
    expect(readFileSync(signed.path('target'), 'utf8')).toBe('signed content');
  } finally {
    await signed.remove();
  }
});

test('the circuit breaker does not open by steps that operators pause or reset', async () => {
  const own = new StepHold();
  const strict = await startHarness({ around: own.around, breaker: { failureThreshold: 1, recoveryTimeoutMs: 3_600_000 } });
  try {
    const sources = makeSources(strict, 3);
    own.next('backupChunk', own.untilStopped, failing);
    const batch = await startBatch(strict, { sources, maxRetries: 1, onCircuitOpen: 'fail' });
    const { workflowId, activityId } = await own.activity();
    const activity = ['--workflow-id', workflowId, '--activity-id', activityId];
    await temporalCli(['activity', 'pause', ...activity]);
    await until('the step is at rest', async () => (await batch.describe()).raw.pendingActivities?.every(({ state }) => Number(state) !== STARTED && Number(state) !== PAUSE_REQUESTED) ?? false);
    await temporalCli(['activity', 'unpause', ...activity]);
    // The failure was the first of two attempts that count: it blames nobody for good.
    await expect(outputOf(batch)).resolves.toMatchObject({ success: true, successfulFiles: 3 });
  } finally {
    await strict.remove();
  }
});

test('nothing is left and nothing remembered of runs that operators have met', async () => {
  await until('no run is remembered', () => registered(harness).length === 0);
  expect(harness.leftovers().filter((name) => !name.includes('/runs/'))).toEqual([]);
  await expect(runBatch(harness, { sources: [source], backupDir: harness.path('last') })).resolves.toMatchObject({ success: true });
});
