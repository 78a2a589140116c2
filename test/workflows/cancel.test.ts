import { existsSync, mkdirSync, readdirSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Context } from '@temporalio/activity';
import { fileWorkflowId } from '../../src/workflow-ids';
import { failure } from '../../src/failures';
import type { FileBackupOutput, FileBackupRequest } from '../../src/models';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { registered, sha256Of, stateOf, until, writePrevious, type FileState } from '../helpers/target-state';

const GIBIBYTE = 1024 ** 3;

/** What the hook around activities does for one run. */
type Plan = Around;

interface Case {
  readonly step: string;
  readonly moment: Moment;
  readonly hasPrevious: boolean;
  readonly outcome: 'undone' | 'committed' | 'either';
}

interface Finished extends Case {
  readonly target: string;
  readonly before: FileState | null;
  readonly output: FileBackupOutput;
}

/** `heard`: the step starts knowing of it. `begins`: it is under way to the running step. `ends`: the step is through. */
type Moment = 'heard' | 'begins' | 'ends';

const steps = ['inspectFile', 'prepareStaging', 'stageFile', 'verifyFile', 'publishFile', 'finalizeFile'] as const;
const moments: readonly Moment[] = ['heard', 'begins', 'ends'];
const titles: Record<Moment, string> = { heard: 'before the step does anything', begins: 'as the step begins', ends: 'as the step ends' };

const cases: readonly Case[] = steps.flatMap((step) =>
  moments
    // The commit cannot be cancelled, so it never hears of it.
    .filter((moment) => step !== 'finalizeFile' || moment !== 'heard')
    .flatMap((moment) => [true, false].map((hasPrevious) => ({ step, moment, hasPrevious, outcome: outcomeOf(step, moment) }))),
);

function outcomeOf(step: string, moment: Moment): Case['outcome'] {
  if (step === 'finalizeFile' || (step === 'publishFile' && moment === 'ends')) return 'committed';
  return step === 'publishFile' && moment === 'begins' ? 'either' : 'undone';
}

const nameOf = ({ step, moment, hasPrevious }: Case): string => `${step}-${moment}-${hasPrevious ? 'over' : 'new'}`;

const plans = new Map<string, Plan>();
const finished = new Map<string, Promise<Finished>>();
let harness: Harness;
let source: string;

beforeAll(async () => {
  harness = await startHarness({ around: (step, attempt, run) => (plans.get(currentWorkflowId()) ?? callThrough)(step, attempt, run) });
  source = harness.path('source.bin');
  writeFileSync(source, Buffer.alloc(3_000_000, 'content'));
  // All at once: each waits a second or so for its cancellation to arrive.
  for (const each of cases) finished.set(nameOf(each), cancelledRun(each));
});

afterAll(() => harness?.remove());

describe.each([true, false])('cancelled with a previous target: %s', (hasPrevious) => {
  const here = cases.filter((each) => each.hasPrevious === hasPrevious).map((each) => [each.step, titles[each.moment], each.outcome, each] as const);

  test.each(here)('at %s, %s, the run ends %s', async (_step, _moment, _outcome, each) => {
    const { output, target, before } = await finishedCase(each);
    if (each.outcome !== 'either') expect(output.success).toBe(each.outcome === 'committed');
    if (output.success) expect(sha256Of(target)).toBe(sha256Of(source));
    else expect(stateOf(target)).toEqual(before);
    expect(await recordedState(target)).toEqual(statesOf(each, output));
    expect(output).toMatchObject(
      output.success
        ? { errorCode: null, rollback: { status: 'notNeeded', steps: [] }, sha256: sha256Of(source) }
        : { errorCode: 'Cancelled', rollback: { status: each.step === 'inspectFile' ? 'notNeeded' : 'performed' } },
    );
    // Nothing that was created for an undone run remains.
    expect(existsSync(dirname(target))).toBe(hasPrevious || output.success);
    expect(leftBelow(nameOf(each))).toEqual([]);
  });
});

test('cancelled runs leave nothing behind, not in the folder and not in the state', async () => {
  await Promise.all(finished.values());
  const staging = harness.leftovers().filter((name) => cases.some((each) => name.startsWith(`${nameOf(each)}/`)));
  expect(staging).toEqual([]);
  await until('no run is remembered', () => registered(harness).length === 0);
});

test('undo runs in reverse, the target first', async () => {
  const each = cases.find(({ step, moment }) => step === 'publishFile' && moment === 'heard') as Case;
  const { output } = await finishedCase(each);
  expect(output.rollback.steps).toEqual([
    { step: 'unpublishFile', status: 'performed', message: null },
    { step: 'discardStaging', status: 'performed', message: null },
  ]);
  expect(output.rollbackPerformed).toBe(true);
});

test('a cancellation ends the wait for a retry at once', async () => {
  const target = harness.path('back-off', 'deep', 'target');
  let calls = 0;
  const plan: Plan = (step, _attempt, run) => {
    if (step !== 'stageFile') return run();
    calls += 1;
    throw failure('DestinationError', 'The disk hiccups');
  };
  const output = await cancelWhen('a retry is due', { sourcePath: source, backupPath: target, maxRetries: 3, retryDelayMs: 30_000 }, plan, async (workflowId) => {
    const { raw } = await harness.temporal.workflow.getHandle(workflowId).describe();
    return raw.pendingActivities?.[0]?.attempt === 2;
  });
  expect(output).toMatchObject({ errorCode: 'Cancelled', rollback: { status: 'performed' } });
  expect(calls).toBe(1);
  expect(existsSync(harness.path('back-off'))).toBe(false);
});

test('a cancellation ends the wait for a fresh copy at once', async () => {
  const target = harness.path('fresh-copy');
  const before = writePrevious(target);
  const plan: Plan = (step, _attempt, run) => {
    if (step !== 'verifyFile') return run();
    throw failure('ChecksumMismatch', 'The copy reads back wrong');
  };
  const output = await cancelWhen('a fresh copy is due', { sourcePath: source, backupPath: target, retryDelayMs: 30_000 }, plan, async (workflowId) => {
    const handle = harness.temporal.workflow.getHandle(workflowId);
    return (await handle.query<{ waitingFor: string | null }>('status')).waitingFor !== null;
  });
  expect(output).toMatchObject({ errorCode: 'Cancelled', checksumMatch: false, rollback: { status: 'performed' } });
  expect(stateOf(target)).toEqual(before);
});

test('a cancellation ends the wait for an open circuit at once', async () => {
  const failing: Plan = (step, _attempt, run) => {
    if (step === 'stageFile') throw failure('DestinationError', 'The disk is gone');
    return run();
  };
  const opened = await startHarness({ around: failing, breaker: { failureThreshold: 1, recoveryTimeoutMs: 3_600_000 } });
  try {
    const sourcePath = opened.path('source');
    writeFileSync(sourcePath, 'content');
    await expect(opened.client.backupFile({ sourcePath, backupPath: opened.path('first'), maxRetries: 0 })).resolves.toMatchObject({ errorCode: 'DestinationError' });
    const run = await opened.client.startBackupFile({ sourcePath, backupPath: opened.path('second', 'target') });
    await until('the run waits for the circuit', async () => (await opened.client.waitingFor(run))?.startsWith('circuit open') === true);
    await opened.client.cancel(run.workflowId);
    await expect(run.result()).resolves.toMatchObject({ errorCode: 'Cancelled', rollback: { status: 'performed' } });
    expect(readdirSync(opened.directory)).toEqual(['source']);
  } finally {
    await opened.remove();
  }
});

describe('with a copy under way that would take long', () => {
  let long: string;

  beforeAll(() => {
    long = harness.path('long.bin');
    writeFileSync(long, '');
    truncateSync(long, 4 * GIBIBYTE);
  });

  test('a cancellation reaches the thread, which stops and closes its files before undo begins', async () => {
    const target = harness.path('long-copy', 'target');
    let openAtUndo: string[] | undefined;
    const plan: Plan = (step, _attempt, run) => {
      if (step === 'discardStaging') openAtUndo ??= openBelow(dirname(target));
      return run();
    };
    const output = await cancelWhen('bytes move', { sourcePath: long, backupPath: target }, plan, isCopying);
    expect(output).toMatchObject({ errorCode: 'Cancelled', sha256: null, rollback: { status: 'performed' } });
    expect(openAtUndo).toEqual([]);
    expect(existsSync(dirname(target))).toBe(false);
  });

  test('an in-place copy stops where it is and says that it cannot be undone', async () => {
    const target = harness.path('long-in-place');
    writePrevious(target);
    const output = await cancelWhen('bytes move', { sourcePath: long, backupPath: target, atomic: false }, callThrough, isCopying);
    expect(output).toMatchObject({ success: false, errorCode: 'Cancelled', sha256: null, publishedBy: 'inPlace', rollbackPerformed: false, rollback: { status: 'unsupported', steps: [] } });
    expect(await recordedState(target)).toEqual({ status: 'CANCELLED', state: 'inconsistent' });
    expect(openBelow(target)).toEqual([]);
  });
});

test('an in-place copy that is cancelled before its comparison is no success', async () => {
  const target = harness.path('in-place');
  const output = await cancelWhen('', { sourcePath: source, backupPath: target, atomic: false }, cancelAt('writeTarget', 'ends'));
  expect(output).toMatchObject({ success: false, errorCode: 'Cancelled', verified: false, rollback: { status: 'unsupported' } });
});

test('an in-place copy that is cancelled before it began leaves the target alone', async () => {
  const target = harness.path('in-place-not-begun');
  const before = writePrevious(target);
  const output = await cancelWhen('', { sourcePath: source, backupPath: target, atomic: false }, cancelAt('inspectFile', 'ends'));
  expect(output).toMatchObject({ errorCode: 'Cancelled', publishedBy: null, rollback: { status: 'notNeeded', steps: [] } });
  expect(stateOf(target)).toEqual(before);
});

function callThrough(_step: string, _attempt: number, run: () => Promise<unknown>): Promise<unknown> {
  return run();
}

function currentWorkflowId(): string {
  return Context.current().info.workflowExecution?.workflowId ?? '';
}

async function finishedCase(each: Case): Promise<Finished> {
  const run = finished.get(nameOf(each));
  if (run === undefined) throw new Error(`${nameOf(each)} was not started`);
  return run;
}

async function cancelledRun(each: Case): Promise<Finished> {
  const folder = harness.path(nameOf(each));
  mkdirSync(folder);
  const target = each.hasPrevious ? `${folder}/target` : `${folder}/made/for/it/target`;
  const before = each.hasPrevious ? writePrevious(target) : null;
  const output = await cancelWhen('', { sourcePath: source, backupPath: target }, cancelAt(each.step, each.moment));
  return { ...each, target, before, output };
}

/** Cancels the run once, from inside one of its steps. */
function cancelAt(step: string, moment: Moment): Plan {
  const cancel = () => harness.temporal.workflow.getHandle(currentWorkflowId()).cancel();
  return async (current, _attempt, run) => {
    if (current !== step) return run();
    if (moment !== 'ends') await cancel();
    if (moment === 'heard') await untilHeard();
    const result = await run();
    if (moment === 'ends') await cancel();
    return result;
  };
}

/** Cancellation comes as the answer to a heartbeat. */
async function untilHeard(): Promise<void> {
  const context = Context.current();
  await until('the step hears of its cancellation', () => {
    context.heartbeat();
    return context.cancellationSignal.aborted;
  });
}

/** Starts a backup under a plan and cancels it when the condition holds; without one the plan cancels it. */
async function cancelWhen(message: string, request: FileBackupRequest, plan: Plan, condition?: (workflowId: string, runId: string) => Promise<boolean>): Promise<FileBackupOutput> {
  plans.set(fileWorkflowId(harness.taskQueue, request.backupPath), plan);
  const run = await harness.client.startBackupFile(request);
  if (condition !== undefined) {
    await until(message, () => condition(run.workflowId, run.runId));
    await harness.client.cancel(run.workflowId);
  }
  return run.result();
}

async function isCopying(workflowId: string, runId: string): Promise<boolean> {
  return (await harness.client.progress({ workflowId, runId })).movedBytes > 0;
}

/** Where the run says that it stands, by status and search attribute. */
async function recordedState(target: string): Promise<{ status: string; state: unknown }> {
  const { status, searchAttributes } = await harness.temporal.workflow.getHandle(fileWorkflowId(harness.taskQueue, target)).describe();
  return { status: status.name, state: searchAttributes.FileBackupState?.[0] };
}

function statesOf({ step }: Case, { success }: FileBackupOutput): { status: string; state: string } {
  if (success) return { status: 'COMPLETED', state: 'committed' };
  return { status: 'CANCELLED', state: step === 'inspectFile' ? 'failed' : 'rolledBack' };
}

function leftBelow(folder: string): string[] {
  return harness.leftovers().filter((name) => name.startsWith(`${folder}/`));
}

/** Files below a path that this process, with the threads of its worker, has open. */
function openBelow(path: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const open = readlinkSync(`/proc/self/fd/${descriptor}`);
      return open.startsWith(path) ? [open] : [];
    } catch {
      // The listing's own descriptor is closed by now.
      return [];
    }
  });
}
