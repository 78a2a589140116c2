import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { ApplicationFailure } from '@temporalio/common';
import { BackupClient, NoSuchScheduleError, payloadKeys, ScheduleExistsError, type BackupSchedule } from '../../src/client';
import { failure } from '../../src/failures';
import type { ScheduleRequest } from '../../src/schedule-models';
import type { ScheduledOutput } from '../../src/workflows/scheduled-snapshot';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { flip } from '../helpers/check';
import { copyOf, incoming, makeRepository, nextSecond, published, repositoryOf, requestOf, writeSource } from '../helpers/snapshot';
import { registered, until } from '../helpers/target-state';
import { SnapshotRun } from '../storage/snapshot/snapshot-run';

let harness: Harness;
let name = '';
const releases: (() => void)[] = [];

beforeEach(() => {
  name = `nightly-${randomUUID()}`;
});

afterEach(async () => {
  releases.splice(0).forEach((release) => release());
  await harness?.client.schedules.delete(name).catch(() => undefined);
  await harness?.remove();
});

type Changes = Partial<Omit<ScheduleRequest, 'action'>> & { readonly action?: Partial<ScheduleRequest['action']>; readonly snapshot?: Partial<ReturnType<typeof requestOf>> };

/** Of times that do not come while the tests run. */
function create({ action, snapshot, ...changes }: Changes = {}): Promise<BackupSchedule> {
  return harness.client.schedules.create({ name, timing: { cron: ['0 3 1 1 *'] }, action: { snapshot: requestOf(harness, snapshot), ...action }, ...changes });
}

async function found(): Promise<BackupSchedule> {
  let schedule: BackupSchedule | undefined;
  await until('the schedule is listed', async () => (schedule = (await harness.client.schedules.list()).find((each) => each.name === name)) !== undefined);
  return schedule as BackupSchedule;
}

/** Lets the schedule act, and answers the run that it started. */
async function trigger(): Promise<WorkflowHandle> {
  const { taken } = await found();
  await harness.client.schedules.trigger(name);
  await until('the schedule has acted', async () => (await found()).taken > taken);
  const { workflowId, runId } = (await found()).recentRuns.at(-1) ?? { workflowId: '', runId: '' };
  return harness.temporal.workflow.getHandle(workflowId, runId);
}

async function failureOf(handle: WorkflowHandle): Promise<ApplicationFailure> {
  const error: unknown = await handle.result().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof WorkflowFailedError)) throw new Error('The run did not fail');
  return error.cause as ApplicationFailure;
}

/** A run of a schedule hands its cancellation on to the snapshot, which learns of it a moment later. */
async function snapshotIsCancelled({ workflowId }: WorkflowHandle): Promise<void> {
  const historyOf = async (id: string) => (await harness.temporal.workflow.getHandle(id).fetchHistory()).events ?? [];
  const child = (await historyOf(workflowId)).find((event) => event.startChildWorkflowExecutionInitiatedEventAttributes)?.startChildWorkflowExecutionInitiatedEventAttributes?.workflowId ?? '';
  await until('its snapshot is told', async () => (await historyOf(child)).some((event) => event.workflowExecutionCancelRequestedEventAttributes));
}

function holding(step: string): { readonly around: Around; readonly reached: Promise<void>; release(): void } {
  let [release, reach] = [(): void => undefined, (): void => undefined];
  const released = new Promise<void>((resolve) => releases.push((release = resolve)));
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const around: Around = async (current, _attempt, next) => {
    if (current !== step) return next();
    reach();
    await released;
    return next();
  };
  return { around, reached, release: () => release() };
}

test('a schedule is created, listed, paused, resumed and deleted', async () => {
  harness = await startHarness();
  makeRepository(harness);
  const created = await create({ timing: { cron: ['0 3 1 1 *'], timeZone: 'Europe/Berlin' } });
  expect(created).toMatchObject({ name, sources: harness.path('source'), repository: repositoryOf(harness), timing: '0 3 1 1 * Europe/Berlin', paused: false, taken: 0, recentRuns: [] });
  expect(created.nextTimes[0]).toMatch(/^\d{4}-01-01T02:00:00\.000Z$/);
  expect(await found()).toEqual(created);
  await expect(create()).rejects.toThrow(ScheduleExistsError);
  await harness.client.schedules.pause(name);
  expect(await found()).toMatchObject({ paused: true });
  await harness.client.schedules.resume(name);
  expect(await found()).toMatchObject({ paused: false });
  await harness.client.schedules.delete(name);
  await until('the schedule is gone', async () => (await harness.client.schedules.list()).every((each) => each.name !== name));
  for (const act of ['pause', 'resume', 'trigger', 'delete'] as const) await expect(harness.client.schedules[act](name)).rejects.toThrow(NoSuchScheduleError);
});

test('each time it takes a snapshot, prunes and checks', async () => {
  harness = await startHarness();
  makeRepository(harness, ['a', 'b']);
  const earlier = [1, 2].map(() => new SnapshotRun(harness.directory, repositoryOf(harness), [harness.path('source')]));
  for (const run of earlier) run.take();
  await create({ action: { prune: { last: 2 }, check: { readData: '100%' } } });
  const first = (await (await trigger()).result()) as ScheduledOutput;
  expect(first).toMatchObject({ snapshot: { success: true, parent: earlier[1]?.name, files: 2, unchangedFiles: 2 }, prune: { removedSnapshots: 1, keptSnapshots: 2, problems: 0 }, check: { snapshots: 2, readFiles: 2, problems: 0, sample: [] } });
  expect(published(harness)).toEqual([earlier[1]?.name, first.snapshot.snapshot]);
  writeSource(harness, 'c', 'c');
  await nextSecond();
  const second = (await (await trigger()).result()) as ScheduledOutput;
  expect(second).toMatchObject({ snapshot: { success: true, parent: first.snapshot.snapshot, newFiles: 1 }, prune: { removedSnapshots: 1 } });
  expect(second.snapshot.operationId).not.toBe(first.snapshot.operationId);
  expect(published(harness)).toEqual([first.snapshot.snapshot, second.snapshot.snapshot]);
  expect(await found()).toMatchObject({ taken: 2, skippedOverlaps: 0, missed: 0 });
  expect(registered(harness)).toEqual([]);
});

test('it prunes no snapshots of other sources or hosts', async () => {
  harness = await startHarness();
  makeRepository(harness, ['a', 'sub/b']);
  const take = (source: string, host: string): string => {
    const run = new SnapshotRun(harness.directory, repositoryOf(harness), [source], { host });
    run.take();
    return run.name;
  };
  const { host = '' } = requestOf(harness, { host: 'this-host' });
  const others = [[harness.path('source', 'sub'), host], [harness.path('source', 'sub'), host], [harness.path('source'), 'other-host'], [harness.path('source'), 'other-host']].map(([source = '', of = '']) => take(source, of));
  const own = take(harness.path('source'), host);
  await create({ snapshot: { host }, action: { prune: { last: 1 } } });
  const { snapshot, prune } = (await (await trigger()).result()) as ScheduledOutput;
  expect(prune).toMatchObject({ removedSnapshots: 1, keptSnapshots: 1, damagedSnapshots: 0 });
  expect(published(harness)).toEqual([...others, snapshot.snapshot]);
  expect(published(harness)).not.toContain(own);
});

test('a check that finds damage makes the run fail, names it, and the schedule rests if it was asked to', async () => {
  harness = await startHarness();
  makeRepository(harness, ['a', 'b']);
  const earlier = new SnapshotRun(harness.directory, repositoryOf(harness), [harness.path('source')]);
  earlier.take();
  writeSource(harness, 'a', 'other content');
  flip(join(copyOf(harness, earlier.name), 'a'), 3);
  await create({ action: { check: { readData: '100%' } }, timing: { cron: ['0 3 1 1 *'], pauseOnFailure: true } });
  const failed = await failureOf(await trigger());
  expect(failed.type).toBe('SnapshotDamaged');
  expect(failed.details?.[0]).toMatchObject({ snapshot: { success: true }, check: { problems: 1, sample: [{ snapshot: earlier.name, path: join('data', harness.path('source', 'a')), kind: 'damaged' }] } });
  expect(published(harness)).toHaveLength(2);
  await until('the schedule rests', async () => (await found()).paused);
});

test('a snapshot without a source that is missing, or empty by now, has the others, prunes nothing and is a failure of the schedule', async () => {
  harness = await startHarness();
  makeRepository(harness, ['a']);
  mkdirSync(harness.path('later'));
  writeFileSync(harness.path('later', 'b'), 'b');
  await create({ snapshot: { sources: [harness.path('source'), harness.path('later')] }, action: { prune: { last: 1 } } });
  await (await trigger()).result();
  for (const [type, lose] of [['SourceNotFound', () => rmSync(harness.path('later'), { recursive: true })], ['SourceEmptied', () => mkdirSync(harness.path('later'))]] as const) {
    lose();
    await nextSecond();
    const failure = await failureOf(await trigger());
    expect(failure).toMatchObject({ type, details: [{ snapshot: { status: 'partial', files: 1, failedEntries: 1 }, prune: null }] });
    expect(failure.message).toContain(harness.path('later'));
  }
  expect(published(harness)).toHaveLength(3);
});

test('a snapshot that is partial is no failure of the schedule, and one that comes to nothing is', async () => {
  let isFirst = true;
  const around: Around = async (step, _attempt, next) => {
    const result = await next();
    if (step === 'planSnapshot' && isFirst) renameSync(harness.path('source', 'sub'), harness.path('source', 'other'));
    if (step === 'planSnapshot') isFirst = false;
    return result;
  };
  harness = await startHarness({ around });
  makeRepository(harness, ['a', 'sub/b']);
  await create({ action: { prune: { last: 1 } } });
  expect(await (await trigger()).result()).toMatchObject({ snapshot: { success: false, status: 'partial', failedEntries: 1 }, prune: { keptSnapshots: 1 }, check: null });
  const [kept] = published(harness);
  unlinkSync(harness.path('repository', '.file-backup', 'repository.json'));
  await failureOf(await trigger());
  // Nothing was pruned in the name of a snapshot that there is not.
  expect(published(harness)).toEqual([kept]);
});

test('a time that comes while the one before is at work is left out, and whoever asks for the same snapshot gets that one', async () => {
  const chunk = holding('snapshotChunk');
  harness = await startHarness({ around: chunk.around });
  makeRepository(harness, ['a']);
  await create();
  const run = await trigger();
  await chunk.reached;
  await harness.client.schedules.trigger(name);
  await until('the second time is left out', async () => (await found()).skippedOverlaps === 1);
  const attached = await harness.client.startBackupSnapshot(requestOf(harness));
  expect(attached.attached).toBe(true);
  chunk.release();
  const { snapshot } = (await run.result()) as ScheduledOutput;
  expect(await attached.result()).toEqual(snapshot);
  expect(published(harness)).toEqual([snapshot.snapshot]);
  expect(await found()).toMatchObject({ taken: 1, skippedOverlaps: 1 });
});

test('a time that comes while somebody takes the same snapshot waits for that one, visibly, and then takes its own, prunes and checks', async () => {
  const chunk = holding('snapshotChunk');
  harness = await startHarness({ around: chunk.around });
  makeRepository(harness, ['a']);
  await create({ action: { prune: { last: 1 }, check: {} } });
  const byHand = await harness.client.startBackupSnapshot(requestOf(harness));
  await chunk.reached;
  const run = await trigger();
  const { workflowId } = run;
  await until('it waits', async () => (await harness.client.describe(workflowId)).state === 'waiting');
  expect((await harness.client.describe(workflowId)).waitingFor).toBe(`another run takes a snapshot of the same sources (run ${byHand.workflowId})`);
  await nextSecond();
  chunk.release();
  const first = await byHand.result();
  expect(first).toMatchObject({ success: true });
  expect(await run.result()).toMatchObject({ snapshot: { success: true, parent: first.snapshot }, prune: { removedSnapshots: 1, keptSnapshots: 1 }, check: { problems: 0 } });
  expect(await found()).toMatchObject({ lastResult: 'committed', lastReason: null });
});

test('that pruning fails keeps nobody from checking, and the run fails with the type of what went wrong', async () => {
  harness = await startHarness({ around: (step, _attempt, next) => (step === 'pruneRepository' ? Promise.reject(failure('PermissionDenied', 'Made to fail')) : next()) });
  makeRepository(harness, ['a']);
  await create({ action: { prune: { last: 1 }, check: {} } });
  const failed = await failureOf(await trigger());
  expect(failed).toMatchObject({ type: 'PermissionDenied', message: expect.stringContaining('Made to fail') as string, details: [{ snapshot: { success: true }, prune: null, check: { problems: 0 } }] });
  expect(await found()).toMatchObject({ lastResult: 'failed', lastReason: expect.stringMatching(/^PermissionDenied: Made to fail/) as string });
});

test('a snapshot whose run somebody terminates or cancels fails the time of the schedule by its type', async () => {
  for (const [end, type] of [['terminate', 'Terminated'], ['cancel', 'Cancelled']] as const) {
    const chunk = holding('snapshotChunk');
    harness = await startHarness({ around: chunk.around });
    makeRepository(harness, ['a']);
    await create({ action: { check: {} } });
    const run = await trigger();
    await chunk.reached;
    const { snapshotRun } = await harness.client.describe(run.workflowId);
    await harness.temporal.workflow.getHandle(snapshotRun ?? '')[end]();
    chunk.release();
    expect(await failureOf(run)).toMatchObject({ type, details: [{ prune: null, check: null }] });
    await harness.client.schedules.delete(name);
    await harness.remove();
  }
});

describe.each(['without keys', 'with keys'])('a run of a schedule is one like any other, %s', (which) => {
  const keys = which === 'with keys' ? payloadKeys([randomBytes(32)]) : undefined;

  test('listed and described, with its end', async () => {
    harness = await startHarness({ payloadKeys: keys });
    makeRepository(harness, ['a']);
    await create();
    const handle = await trigger();
    const { workflowId } = handle;
    await handle.result();
    const run = { kind: 'schedule', workflowId, state: 'committed', sourcePath: harness.path('source'), backupPath: repositoryOf(harness) };
    expect(await harness.client.describe(workflowId)).toMatchObject({ ...run, reason: null });
    await until('it is listed', async () => (await harness.client.runs(1000)).some((each) => each.workflowId === workflowId && each.state === 'committed'));
    expect((await harness.client.runs(1000)).find((each) => each.workflowId === workflowId)).toMatchObject(run);
    expect(await found()).toMatchObject({ lastResult: 'committed', isServed: true, taskQueue: harness.taskQueue });
  });

  test('paused, resumed and cancelled by its own id', async () => {
    const chunk = holding('snapshotChunk');
    harness = await startHarness({ around: chunk.around, payloadKeys: keys });
    makeRepository(harness, ['a']);
    await create();
    const handle = await trigger();
    const { workflowId } = handle;
    await chunk.reached;
    expect(await harness.client.pause(workflowId)).toMatchObject({ state: 'paused' });
    expect(await harness.client.resume(workflowId)).toMatchObject({ state: 'running' });
    expect(await found()).toMatchObject({ lastResult: 'active' });
    await harness.client.cancel(workflowId);
    await snapshotIsCancelled(handle);
    chunk.release();
    await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
    expect(await harness.client.describe(workflowId)).toMatchObject({ kind: 'schedule', state: 'cancelled', status: 'CANCELLED' });
    await expect(harness.client.pause(workflowId)).rejects.toThrow('takes no snapshot now');
  });
});

test('a schedule whose queue nobody polls says so', async () => {
  harness = await startHarness();
  makeRepository(harness, ['a']);
  const elsewhere = new BackupClient({ connection: harness.temporal.connection, namespace: 'default', taskQueue: `nobody-${randomUUID()}` });
  const request = { name, timing: { cron: ['0 3 1 1 *'] }, action: { snapshot: requestOf(harness) } };
  expect(await elsewhere.schedules.create(request)).toMatchObject({ isServed: false, lastResult: null });
  await elsewhere.schedules.trigger(name);
  await until('it has acted', async () => (await elsewhere.schedules.describe(name)).taken === 1);
  expect(await elsewhere.schedules.describe(name)).toMatchObject({ isServed: false, lastResult: 'interrupted' });
  const [run] = (await elsewhere.schedules.describe(name)).recentRuns;
  await harness.temporal.workflow.getHandle(run?.workflowId ?? '').terminate();
});

test('a run of a schedule that is cancelled takes its snapshot along', async () => {
  const chunk = holding('snapshotChunk');
  harness = await startHarness({ around: chunk.around });
  makeRepository(harness, ['a']);
  await create({ action: { prune: { last: 1 } } });
  const run = await trigger();
  await chunk.reached;
  await run.cancel();
  await snapshotIsCancelled(run);
  chunk.release();
  await expect(run.result()).rejects.toThrow(WorkflowFailedError);
  expect((await run.describe()).status.name).toBe('CANCELLED');
  expect({ published: published(harness), incoming: incoming(harness), registered: registered(harness) }).toEqual({ published: [], incoming: [], registered: [] });
});
