import { mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileBackupHandle } from '../../src/client';
import type { FileBackupOutput } from '../../src/models';
import { ActivityPlace, newAsking, RecordedRuns } from '../helpers/activity-place';
import { startHarness, type Harness } from '../helpers/backup-harness';
import { StepHold } from '../helpers/step-hold';
import { registered, sha256Of, stateOf, until, writePrevious } from '../helpers/target-state';
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

async function reset(workflowId: string, type = 'LastWorkflowTask'): Promise<void> {
  await temporalCli(['workflow', 'reset', '--workflow-id', workflowId, '--type', type, '--reason', 'an operator wants it']);
}

/** Starts a backup, and resets its run once it is at the step. */
async function resetAt(step: string, target: string): Promise<FileBackupHandle> {
  hold.next(step, hold.untilStopped);
  const run = await harness.client.startBackupFile({ sourcePath: source, backupPath: target, maxRetries: 0 });
  await hold.activity((held += 1));
  await reset(run.workflowId);
  return run;
}

/** Of the execution that has the id now. */
async function endOf({ workflowId }: FileBackupHandle): Promise<FileBackupOutput> {
  return (await harness.temporal.workflow.getHandle(workflowId).result()) as FileBackupOutput;
}

async function statusOf({ workflowId }: FileBackupHandle): Promise<string> {
  return (await harness.temporal.workflow.getHandle(workflowId).describe()).status.name;
}

test.each(['prepareStaging', 'stageFile', 'verifyFile', 'publishFile', 'finalizeFile'])('a run that is reset at %s goes on with what it has staged, and leaves nothing', async (step) => {
  const target = harness.path(`at-${step}`, 'target');
  const run = await resetAt(step, target);
  await expect(endOf(run)).resolves.toMatchObject({ success: true });
  expect(sha256Of(target)).toBe(sha256Of(source));
  expect(readdirSync(harness.path(`at-${step}`))).toEqual(['target']);
  await until('no run is remembered', () => registered(harness).length === 0);
});

test('a run that was reset is undone as any other', async () => {
  const target = harness.path('undone');
  const before = writePrevious(target);
  hold.next('verifyFile', hold.untilStopped, hold.untilStopped);
  const run = await harness.client.startBackupFile({ sourcePath: source, backupPath: target });
  await hold.activity((held += 1));
  await reset(run.workflowId);
  await hold.activity((held += 1));
  expect(harness.leftovers()).toEqual(expect.arrayContaining([`.file-backup-${run.runId}`]));
  await harness.temporal.workflow.getHandle(run.workflowId).cancel();
  await until('the run has ended', async () => (await statusOf(run)) === 'CANCELLED');
  expect(stateOf(target)).toEqual(before);
  expect(harness.leftovers()).toEqual([]);
});

test('the janitor takes a run that was reset for alive, and sweeps it when that is terminated too', async () => {
  const own = new StepHold();
  const first = await startHarness({ around: own.around });
  const target = first.path('new', 'target');
  try {
    writeFileSync(first.path('source'), 'swept');
    own.next('verifyFile', own.untilStopped, own.untilStopped);
    const run = await first.client.startBackupFile({ sourcePath: first.path('source'), backupPath: target });
    await own.activity(1);
    await reset(run.workflowId);
    await own.activity(2);
    const second = await startHarness({ like: first, around: own.around });
    // Its janitor has looked by now: a worker sweeps as it starts, and waits for that as it stops.
    await second.stop();
    expect(registered(first)).toEqual([`${run.runId}.json`]);
    expect(readdirSync(first.path('new'))).toEqual([`.file-backup-${run.runId}`]);
    await temporalCli(['workflow', 'terminate', '--workflow-id', run.workflowId]);
    const third = await startHarness({ like: first });
    await third.stop();
    expect(registered(first)).toEqual([]);
    expect(readdirSync(first.directory)).toEqual(['source']);
  } finally {
    await first.remove();
  }
});

test('a finished run that is reset to its beginning copies what the source holds by then', async () => {
  const changing = harness.path('changing');
  const target = harness.path('changed-target');
  writeFileSync(changing, 'before');
  const run = await harness.client.startBackupFile({ sourcePath: changing, backupPath: target });
  await run.result();
  writeFileSync(changing, 'after the reset');
  await reset(run.workflowId, 'FirstWorkflowTask');
  await expect(endOf(run)).resolves.toMatchObject({ success: true, sha256: sha256Of(changing) });
  expect(sha256Of(target)).toBe(sha256Of(changing));
  expect(harness.leftovers()).toEqual([]);
});

describe('staging that an earlier version named by the own id of a run that was reset', () => {
  let folder: string;

  beforeAll(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'file-backup-earlier-')));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(['discardStaging', 'finalizeFile'] as const)('is found by %s', async (step) => {
    const place = new ActivityPlace(folder);
    const asking = newAsking();
    const { operation } = await new RecordedRuns(place, asking).file();
    expect(place.registry.list()).toHaveLength(1);
    await place.call(step, { operation }, { ...asking, firstRunId: newAsking().runId });
    expect(place.registry.list()).toEqual([]);
    expect(readdirSync(place.path('backups', 'new'))).toEqual(['file']);
  });
});
