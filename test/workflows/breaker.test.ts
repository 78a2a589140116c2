import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import type { Context } from '@temporalio/activity';
import { breakerInterceptor, DestinationBreakers } from '../../src/activities';
import type { FileBackupHandle } from '../../src/client';
import { defaultBreakerOptions, type BreakerOptions } from '../../src/core/breaker';
import { STATUS_QUERY } from '../../src/core/names';
import type { FileBackupStatus } from '../../src/core/status';
import { failure, type FailureType } from '../../src/failures';
import type { FileBackupOutput, FileBackupRequest } from '../../src/models';
import { freePort } from '../../src/server/ports';
import { codeSpan } from '../../src/core/markdown';
import { createWorkplace, onTestServer, until } from '../cli/run-command';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { recordedRequests } from '../helpers/recorded-requests';
import { namesBelow } from '../helpers/names-below';

/** Long enough for a test to meet the circuit open on a busy machine, short enough to wait for. */
const RECOVERY_MS = 4000;

let harness: Harness;
/** What goes wrong right now: step → failure. Real steps run where nothing is named. */
const faults = new Map<string, FailureType>();
/** Attempts that were let through to a step. */
const entered: string[] = [];
/** Steps that stop until they are let go. */
const gates = new Map<string, Promise<void>>();

const around: Around = async (step, _attempt, run) => {
  entered.push(step);
  const fault = faults.get(step);
  if (fault !== undefined) throw failure(fault, 'Made to fail');
  await gates.get(step);
  return run();
};

beforeEach(() => {
  faults.clear();
  entered.length = 0;
  gates.clear();
});

afterEach(() => harness?.remove());

async function start(breaker: Partial<BreakerOptions> = {}): Promise<void> {
  harness = await startHarness({ around, breaker: { recoveryTimeoutMs: RECOVERY_MS, ...breaker } });
  writeFileSync(harness.path('source'), 'content');
}

let number = 0;

function request(options: Partial<FileBackupRequest> = {}): FileBackupRequest & { backupPath: string } {
  number += 1;
  return { sourcePath: harness.path('source'), backupPath: harness.path(`target-${number}`), maxRetries: 0, retryDelayMs: 100, onCircuitOpen: 'fail', ...options };
}

function backUp(options: Partial<FileBackupRequest> = {}): Promise<FileBackupOutput> {
  return harness.client.backupFile(request(options));
}

/** Lets so many operations fail because of the destination, one after the other. */
async function failOperations(count: number, options: Partial<FileBackupRequest> = {}): Promise<void> {
  faults.set('stageFile', 'DestinationError');
  for (let done = 0; done < count; done += 1) expect(await backUp(options)).toMatchObject({ success: false, errorCode: 'DestinationError' });
  faults.delete('stageFile');
}

/** Holds the step from now on; returns what lets it go. */
function hold(step: string): () => void {
  let release = (): void => undefined;
  gates.set(step, new Promise((resolve) => (release = resolve)));
  return () => {
    gates.delete(step);
    release();
  };
}

async function reached(step: string, { workflowId }: FileBackupHandle): Promise<void> {
  await until(async () => (await harness.client.describe(workflowId)).pendingSteps.some((pending) => pending.step === step) && entered.includes(step), `${step} is reached`);
}

test('it opens after five failed operations, however many attempts they took, and then no operation touches the destination', async () => {
  await start();
  await failOperations(4, { maxRetries: 1 });
  expect(entered.filter((step) => step === 'stageFile')).toHaveLength(8);
  expect(await backUp()).toMatchObject({ success: true });
  // A success takes one failure back.
  await failOperations(2);

  entered.length = 0;
  const rejected = await backUp({ maxRetries: 3, backupPath: harness.path('new', 'target') });
  expect(rejected).toMatchObject({ success: false, errorCode: 'CircuitOpen', retryCount: 0, rollback: { status: 'performed' } });
  expect(rejected.errorMessage).toContain(harness.directory);
  expect(entered).toEqual(['inspectFile', 'discardStaging']);
  expect(existsSync(harness.path('new'))).toBe(false);
  expect(harness.leftovers()).toEqual([]);
});

test('it recovers under constant traffic: a rejection does not extend the wait', async () => {
  await start({ failureThreshold: 1 });
  await failOperations(1);
  const codes: (string | null)[] = [];
  await until(async () => {
    codes.push((await backUp()).errorCode);
    return codes.at(-1) === null;
  }, 'the circuit closes although operations keep coming');
  expect(codes.length).toBeGreaterThan(3);
  expect(new Set(codes.slice(0, -1))).toEqual(new Set(['CircuitOpen']));
});

test('a destination that is missed when it is first looked at counts too', async () => {
  await start({ failureThreshold: 2 });
  faults.set('inspectFile', 'DestinationGone');
  for (let done = 0; done < 2; done += 1) expect(await backUp()).toMatchObject({ errorCode: 'DestinationGone' });
  faults.clear();
  expect(await backUp()).toMatchObject({ errorCode: 'CircuitOpen' });
});

test('missing sources say nothing about the destination', async () => {
  await start({ failureThreshold: 1 });
  for (let done = 0; done < 5; done += 1) expect(await backUp({ sourcePath: harness.path('nothing') })).toMatchObject({ errorCode: 'SourceNotFound' });
  faults.set('stageFile', 'SourceReadError');
  expect(await backUp()).toMatchObject({ errorCode: 'SourceReadError' });
  faults.clear();
  expect(await backUp()).toMatchObject({ success: true });
});

test('copies that read back wrong count once for each operation, not for each copy', async () => {
  await start({ failureThreshold: 2 });
  faults.set('verifyFile', 'ChecksumMismatch');
  expect(await backUp({ maxRetries: 2 })).toMatchObject({ errorCode: 'ChecksumMismatch', retryCount: 2 });
  expect(entered.filter((step) => step === 'verifyFile')).toHaveLength(3);
  expect(await backUp({ maxRetries: 2 })).toMatchObject({ errorCode: 'ChecksumMismatch' });
  expect(await backUp({ maxRetries: 2 })).toMatchObject({ errorCode: 'CircuitOpen' });
});

test('a copy that read back wrong and was made well afresh is no failed operation', async () => {
  await start({ failureThreshold: 1 });
  faults.set('verifyFile', 'ChecksumMismatch');
  const running = harness.client.backupFile(request({ maxRetries: 3 }));
  await until(() => entered.includes('verifyFile'), 'the first copy is found wrong');
  faults.clear();
  expect(await running).toMatchObject({ success: true });
  expect(await backUp()).toMatchObject({ success: true });
});

test('an operation that was let in is finished although the circuit has opened: commit does not ask', async () => {
  await start({ failureThreshold: 1 });
  const release = hold('publishFile');
  const handle = await harness.client.startBackupFile(request());
  await reached('publishFile', handle);
  await failOperations(1);
  expect(await backUp()).toMatchObject({ errorCode: 'CircuitOpen' });
  release();
  expect(await handle.result()).toMatchObject({ success: true, warnings: [] });
  expect(harness.leftovers()).toEqual([]);
});

test('an operation whose circuit opens half-way is undone at once where that was asked for: undo does not ask', async () => {
  await start({ failureThreshold: 1 });
  const target = request({ backupPath: harness.path('new', 'target') });
  const release = hold('stageFile');
  const handle = await harness.client.startBackupFile(target);
  await reached('stageFile', handle);
  faults.set('prepareStaging', 'DestinationError');
  expect(await backUp()).toMatchObject({ errorCode: 'DestinationError' });
  release();
  expect(await handle.result()).toMatchObject({ success: false, errorCode: 'CircuitOpen', rollback: { status: 'performed', steps: [{ step: 'discardStaging', status: 'performed' }] } });
  expect(existsSync(harness.path('new'))).toBe(false);
});

test('an operation that may wait says for what, and goes on by itself when the destination is well again', async () => {
  await start({ failureThreshold: 1 });
  await failOperations(1);
  const handle = await harness.client.startBackupFile(request({ onCircuitOpen: 'wait' }));
  const workflow = harness.temporal.workflow.getHandle(handle.workflowId, handle.runId);
  let waiting: string | null = null;
  await until(async () => (waiting = (await workflow.query<FileBackupStatus>(STATUS_QUERY)).waitingFor) !== null, 'the run waits');
  expect(waiting).toMatch(/^circuit open until \d{4}-\d\d-\d\dT[\d:.]+Z: The circuit of destination .* is open/);
  const { currentDetails } = await workflow.query<{ currentDetails: string }>('__temporal_workflow_metadata');
  expect(currentDetails).toContain(`**Waiting**: ${codeSpan(String(waiting))}`);
  expect(await harness.client.waitingFor(handle)).toBe(waiting);

  expect(await handle.result()).toMatchObject({ success: true, retryCount: 0 });
  const { events } = await workflow.fetchHistory();
  const timers = (events ?? []).filter((event) => event.timerStartedEventAttributes);
  expect(timers.map(({ userMetadata }) => Buffer.from(userMetadata?.summary?.data ?? []).toString())).toEqual([expect.stringMatching(/^"circuit open until /) as string]);
});

/** A step's request as a run has made it, to another disk. */
function requestTo(disk: string): object {
  const [[request] = []] = recordedRequests().stageFile ?? [];
  const { operation, ...rest } = request as { operation: { input: object; destination: object } };
  return { ...rest, operation: { ...operation, input: { ...operation.input, backupPath: `${disk}/target` }, destination: { ...operation.destination, path: disk }, missingDirectories: [] } };
}

describe('while the circuit is half-open', () => {
  let nowMs = 0;
  let probes: { healthy: () => void; ill: () => void }[];
  let breakers: DestinationBreakers;

  beforeEach(() => {
    probes = [];
    breakers = new DestinationBreakers({ ...defaultBreakerOptions, failureThreshold: 1 }, () => undefined, () => nowMs);
    breakers.failed('/disk');
    nowMs += defaultBreakerOptions.recoveryTimeoutMs;
  });

  /** A step on its way through the interceptor. */
  async function step(): Promise<string> {
    const probe = (): Promise<void> => new Promise((resolve, reject) => probes.push({ healthy: resolve, ill: () => reject(new Error('input/output error')) }));
    const context = { info: { activityType: 'stageFile', attempt: 1 } } as Context;
    const { inbound } = breakerInterceptor({ breakers, destinationRoots: ['/disk'], probe })(context);
    try {
      return (await inbound?.execute?.({ args: [requestTo('/disk')], headers: {} }, () => Promise.resolve('done'))) as string;
    } catch (error) {
      return (error as Error).message;
    }
  }

  test('at most three probes are made at once, and all others are turned away without waiting for them', async () => {
    const steps = Array.from({ length: 10 }, () => step());
    const turnedAway = await Promise.all(steps.slice(3));
    expect(new Set(turnedAway)).toEqual(new Set([expect.stringMatching(/^The circuit of destination \/disk is open\./) as string]));
    expect(probes).toHaveLength(3);
    probes[1]?.healthy();
    expect(await steps[1]).toBe('done');
    expect(await step()).toBe('done');
    probes.forEach(({ healthy }) => healthy());
    expect(await Promise.all([steps[0], steps[2]])).toEqual(['done', 'done']);
    expect(probes).toHaveLength(3);
  });

  test('a probe that fails opens it again for the full time, and says why', async () => {
    const probing = step();
    probes[0]?.ill();
    expect(await probing).toMatch(/^The circuit of destination \/disk is open; the last probe failed: input\/output error/);
    nowMs += defaultBreakerOptions.recoveryTimeoutMs - 1;
    expect(await step()).toMatch(/is open\./);
    expect(probes).toHaveLength(1);
  });
});

test('the gauge of a worker follows its circuits; here the disk is taken away and put back', async () => {
  const place = createWorkplace();
  try {
    ['in', 'out'].forEach((name) => mkdirSync(place.path(name)));
    writeFileSync(place.path('in', 'large'), '');
    truncateSync(place.path('in', 'large'), 512 * 1024 ** 2);
    writeFileSync(place.path('in', 'small'), 'content');
    const [taskQueue, port] = [`test-${randomUUID()}`, await freePort()];
    const roots = ['--source-root', 'in', '--destination-root', 'out'];
    const worker = place.start(['worker', ...roots, '--task-queue', taskQueue, '--metrics-port', String(port), '--circuit-failures', '1', '--circuit-recovery', '1'], { env: onTestServer() });
    const there = { env: onTestServer() };
    const large = place.run(['file', 'in/large', 'out/large', '--max-retries', '0', '--task-queue', taskQueue], there);
    await until(() => stagedBytes(place.path('out')) > 0, 'the file is being copied');
    renameSync(place.path('out'), place.path('away'));
    await until(async () => (await gauge(port, place.path('out'))) === 2, 'the gauge shows an open circuit');
    renameSync(place.path('away'), place.path('out'));
    const { code, stderr } = await large;
    expect(code).toBe(1);
    expect(stderr).toContain('DestinationGone');
    expect(readdirSync(place.path('out'))).toEqual([]);

    expect((await place.run(['file', 'in/small', 'out/small', '--task-queue', taskQueue], there)).code).toBe(0);
    expect(readFileSync(place.path('out', 'small'), 'utf8')).toBe('content');
    expect(await gauge(port, place.path('out'))).toBe(0);
    worker.child.kill('SIGTERM');
    expect((await worker.end).stderr).toContain('"circuit":"open"');
  } finally {
    await place.remove();
  }
}, 120_000);

function stagedBytes(directory: string): number {
  const names = namesBelow(directory).filter((name) => name.includes('/staged-'));
  return Math.max(0, ...names.map((name) => statSync(`${directory}/${name}`, { throwIfNoEntry: false })?.size ?? 0));
}

async function gauge(port: number, destination: string): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith('file_backup_circuit_state') && each.includes(`destination="${destination}"`));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
}
