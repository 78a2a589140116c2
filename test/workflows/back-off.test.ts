import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { fileWorkflowId } from '../../src/workflow-ids';
import { failure } from '../../src/failures';
import { FileBackupInput, type FileBackupOutput, type FileBackupRequest } from '../../src/models';
import { circuitWait } from '../../src/policies';
import { WORKFLOW_BUNDLE } from '../../src/worker/create-worker';
import { startHarness, type Harness } from '../helpers/backup-harness';
import { timeSkippingServerPath } from '../helpers/time-skipping-server';

type History = temporal.api.history.v1.IHistory;
type Step = () => unknown;

const HOUR_S = 3600;

describe('on the real server', () => {
  let harness: Harness;
  let source: string;
  let failWith: (step: string, attempt: number) => Promise<void>;

  beforeAll(async () => {
    harness = await startHarness({
      breaker: { failureThreshold: 1, recoveryTimeoutMs: 4000 },
      around: async (step, attempt, run) => {
        await failWith(step, attempt);
        return run();
      },
    });
    source = harness.path('source');
    writeFileSync(source, 'content');
  });

  afterAll(() => harness?.remove());

  test('a step that always fails is tried as often, and after such waits, as the input says', async () => {
    const attempts: number[] = [];
    // eslint-disable-next-line @typescript-eslint/require-await -- it rejects as a step does
    failWith = async (step, attempt) => {
      if (step !== 'stageFile') return;
      attempts.push(attempt);
      throw failure('SourceReadError', 'The disk hiccups', { attempt });
    };
    const run = await harness.client.startBackupFile({ sourcePath: source, backupPath: harness.path('target'), maxRetries: 3, retryDelayMs: 100 });
    await expect(run.result()).resolves.toMatchObject({ success: false, errorCode: 'SourceReadError', retryCount: 3, rollback: { status: 'performed' } });
    expect(attempts).toEqual([1, 2, 3, 4]);
    const history = await harness.temporal.workflow.getHandle(run.workflowId, run.runId).fetchHistory();
    expect(policiesOf(history, 'stageFile')).toEqual([{ maximumAttempts: 4, firstWaitMs: 100, coefficient: 2, longestWaitMs: 300_000 }]);
  });

  test('attempts that were made before the circuit opened stay used', async () => {
    const target = harness.path('interrupted');
    let attempts = 0;
    let another: Promise<FileBackupOutput> | undefined;
    let fail = (): void => undefined;
    const failed = new Promise<void>((resolve) => (fail = resolve));
    failWith = async (step, attempt) => {
      if (step !== 'stageFile') return;
      if (currentWorkflowId() !== fileWorkflowId(harness.taskQueue, target)) {
        fail();
        throw failure('DestinationError', 'Another backup fails for good', { attempt });
      }
      attempts += 1;
      if (attempts === 2) {
        another = harness.client.backupFile({ sourcePath: source, backupPath: harness.path('another'), maxRetries: 0 });
        await failed;
      }
      throw failure('DestinationError', 'The disk hiccups', { attempt });
    };
    const run = await harness.client.startBackupFile({ sourcePath: source, backupPath: target, maxRetries: 3, retryDelayMs: 100 });
    await expect(run.result()).resolves.toMatchObject({ success: false, errorCode: 'DestinationError', rollback: { status: 'performed' } });
    await expect(another).resolves.toMatchObject({ errorCode: 'DestinationError' });
    expect(attempts).toBe(4);
    const history = await harness.temporal.workflow.getHandle(run.workflowId, run.runId).fetchHistory();
    expect(policiesOf(history, 'stageFile')).toEqual([
      { maximumAttempts: 4, firstWaitMs: 100, coefficient: 2, longestWaitMs: 300_000 },
      { maximumAttempts: 2, firstWaitMs: 400, coefficient: 2, longestWaitMs: 300_000 },
    ]);
    expect(timersIn(history)).toHaveLength(1);
  });
});

describe('in virtual time', () => {
  let environment: TestWorkflowEnvironment;

  beforeAll(async () => {
    const path = await timeSkippingServerPath();
    environment = await TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path } } });
  });

  afterAll(() => environment?.teardown());

  test('ten retries after 30 s wait 30, 60, 120, 240 and then 300 s each', async () => {
    const startedAtMs: number[] = [];
    const { output } = await backUp({ maxRetries: 10, retryDelayMs: 30_000 }, {
      stageFile: async () => {
        startedAtMs.push(await environment.currentTimeMs());
        throw failure('DestinationError', 'The disk is ill', { attempt: startedAtMs.length });
      },
    });
    expect(output).toMatchObject({ errorCode: 'DestinationError', retryCount: 10 });
    // Real time passes beside the virtual one, so tens of seconds are compared.
    const waitsS = startedAtMs.slice(1).map((atMs, index) => Math.floor((atMs - (startedAtMs[index] ?? 0)) / 10_000) * 10);
    expect(waitsS).toEqual([30, 60, 120, 240, 300, 300, 300, 300, 300, 300]);
  });

  test('copies that never verify are made anew after the same waits', async () => {
    const { output, history } = await backUp({ maxRetries: 6, retryDelayMs: 30_000 }, {
      verifyFile: () => {
        throw failure('ChecksumMismatch', 'The copy reads back wrong');
      },
    });
    expect(output).toMatchObject({ errorCode: 'ChecksumMismatch', retryCount: 6, checksumMatch: false });
    expect(timersIn(history)).toEqual([30, 60, 120, 240, 300, 300]);
  });

  test('waits for an open circuit grow to their cap and end after a day, with undo', async () => {
    const undone: string[] = [];
    const { output, history } = await backUp({}, {
      prepareStaging: () => circuitOpen(0),
      discardStaging: () => void undone.push('discardStaging'),
    });
    const waitsS = timersIn(history);
    expect(waitsS.slice(0, 6)).toEqual([60, 120, 240, 480, 600, 600]);
    expect(new Set(waitsS.slice(4))).toEqual(new Set([circuitWait.capMs / 1000]));
    const totalS = waitsS.reduce((sum, waitS) => sum + waitS, 0);
    expect(totalS).toBeLessThanOrEqual(24 * HOUR_S);
    expect(totalS).toBeGreaterThan(24 * HOUR_S - circuitWait.capMs / 1000);
    expect(output).toMatchObject({ success: false, errorCode: 'CircuitOpen', rollback: { status: 'performed' } });
    expect(undone).toEqual(['discardStaging']);
    // Far from the 51,200 events at which a server ends a run without undo.
    expect(history.events?.length).toBeLessThan(2500);
  });

  test('with onCircuitOpen "fail" the run ends at once, with undo', async () => {
    const { output, history } = await backUp({ onCircuitOpen: 'fail' }, { stageFile: () => circuitOpen(0) });
    expect(output).toMatchObject({ success: false, errorCode: 'CircuitOpen', rollback: { status: 'performed' } });
    expect(timersIn(history)).toEqual([]);
  });

  test('a circuit that closes again lets the run finish', async () => {
    let calls = 0;
    const { output, history } = await backUp({}, {
      publishFile: () => {
        calls += 1;
        return calls < 3 ? circuitOpen(0) : { by: 'link', attempt: 1 };
      },
    });
    expect(output).toMatchObject({ success: true, publishedBy: 'link', retryCount: 0 });
    expect(timersIn(history)).toEqual([60, 120]);
  });

  test('undo that fails for a day is given up, and said', async () => {
    const { output } = await backUp({}, {
      stageFile: () => {
        throw failure('DestinationConflict', 'Refused');
      },
      discardStaging: () => {
        throw failure('DestinationGone', 'Nobody home');
      },
    });
    expect(output).toMatchObject({ errorCode: 'RollbackFailed', rollback: { status: 'failed', steps: [{ step: 'discardStaging', status: 'failed', message: expect.stringContaining('Nobody home') as string }] } });
  });

  test('a commit that fails for ten minutes is left to the janitor, and said', async () => {
    const { output } = await backUp({}, {
      finalizeFile: () => {
        throw failure('DestinationGone', 'Nobody home');
      },
    });
    expect(output).toMatchObject({ success: true, warnings: [expect.stringContaining('Nobody home')] });
  });

  /** Runs the saga with steps that do nothing but what the test says. */
  async function backUp(request: Partial<FileBackupRequest>, steps: Record<string, Step>): Promise<{ output: FileBackupOutput; history: History }> {
    const input = FileBackupInput.parse({ sourcePath: '/source', backupPath: '/target', ...request });
    const taskQueue = `back-off-${randomUUID()}`;
    const worker = await Worker.create({
      connection: environment.nativeConnection,
      namespace: environment.namespace ?? 'default',
      taskQueue,
      workflowBundle: { codePath: WORKFLOW_BUNDLE },
      activities: { ...painless(input), ...steps },
    });
    return worker.runUntil(async () => {
      const handle = await environment.client.workflow.start('backupFile', { taskQueue, workflowId: randomUUID(), args: [input] });
      const output = (await handle.result().catch(outputOf)) as FileBackupOutput;
      return { output, history: await handle.fetchHistory() };
    });
  }
});

function currentWorkflowId(): string {
  return Context.current().info.workflowExecution?.workflowId ?? '';
}

function painless(input: FileBackupInput): Record<string, Step> {
  const source = { sizeBytes: 7 };
  const staged = { name: 'staged', sha256: '0'.repeat(64), sizeBytes: 7, changed: false, ownerKept: true, attempt: 1 };
  return {
    inspectFile: () => ({ input, source, destination: {}, missingDirectories: [], attempt: 1 }),
    prepareStaging: () => ({ previous: null, hardLinks: true, attempt: 1 }),
    stageFile: () => staged,
    verifyFile: () => ({ from: 'cache', attempt: 1 }),
    publishFile: () => ({ by: 'link', attempt: 1 }),
    finalizeFile: () => undefined,
    unpublishFile: () => ({ outcome: 'untouched' }),
    discardStaging: () => undefined,
  };
}

function circuitOpen(attempt: number): never {
  throw failure('CircuitOpen', 'The circuit is open', { retryAfterMs: 60_000, attempt });
}

function outputOf(error: unknown): unknown {
  const cause = error instanceof WorkflowFailedError ? error.cause : error;
  if (cause instanceof ApplicationFailure) return cause.details?.[0];
  throw error;
}

/** Declared policies of a step's executions, in order. */
function policiesOf({ events }: History, step: string) {
  return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => {
    if (scheduled?.activityType?.name !== step) return [];
    const { maximumAttempts, initialInterval, backoffCoefficient, maximumInterval } = scheduled.retryPolicy ?? {};
    return [{ maximumAttempts, firstWaitMs: millisecondsOf(initialInterval), coefficient: backoffCoefficient, longestWaitMs: millisecondsOf(maximumInterval) }];
  });
}

/** Durations of all timers, in seconds. */
function timersIn({ events }: History): number[] {
  return (events ?? []).flatMap(({ timerStartedEventAttributes: timer }) => (timer ? [millisecondsOf(timer.startToFireTimeout) / 1000] : []));
}

function millisecondsOf(duration: { seconds?: unknown; nanos?: number | null } | null | undefined): number {
  return Number(duration?.seconds ?? 0) * 1000 + Number(duration?.nanos ?? 0) / 1e6;
}
