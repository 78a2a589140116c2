import { randomBytes, randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Context } from '@temporalio/activity';
import { z } from 'zod';
import { outputOf } from '../../src/client/output-of';
import type { RunHandle } from '../../src/client';
import { payloadKeys } from '../../src/keys/payload-keys';
import { startHarness, type Harness } from '../helpers/backup-harness';
import { resetRun } from '../helpers/reset';
import { copyOf, makeRepository, published, requestOf, sourceOf, writeSource } from '../helpers/snapshot';
import { completion, continuation, meetStranger, plain, type Stranger } from '../helpers/stranger';

let place: Harness;
let stranger: Stranger;
/** The step that is held when it comes next. */
let held: string | undefined;
const gate = new EventEmitter();

beforeAll(async () => {
  place = await startHarness({
    payloadKeys: payloadKeys([randomBytes(32)]),
    around: async (step, _attempt, next) => {
      if (step === held) {
        held = undefined;
        const heartbeat = setInterval(() => Context.current().heartbeat(), 100);
        const open = once(gate, 'go');
        gate.emit('in');
        await Promise.race([open, Context.current().cancelled]).finally(() => clearInterval(heartbeat));
      }
      return next();
    },
  });
  stranger = await meetStranger();
});

afterAll(async () => {
  await stranger?.close();
  await place?.remove();
});

beforeEach(() => {
  held = undefined;
});

/** Holds a step once, until it is let go or cancelled; answers when a run is inside of it. */
function hold(step: string): Promise<unknown> {
  held = step;
  return once(gate, 'in');
}

function letGo(): void {
  gate.emit('go');
}

interface Kind {
  readonly steps: { readonly first: string; readonly later: string };
  readonly prepare: () => void;
  /** Changes what is backed up. */
  readonly change: (content: string) => void;
  readonly start: () => Promise<RunHandle<{ readonly success: boolean; readonly errorCode: string | null }>>;
  /** What is there of it, by what the run says. */
  readonly found: (output: object) => string;
}

const kinds: Readonly<Record<string, Kind>> = {
  file: {
    steps: { first: 'inspectFile', later: 'stageFile' },
    prepare: () => undefined,
    change: (content) => writeFileSync(place.path('source.txt'), content),
    start: () => place.client.startBackupFile({ sourcePath: place.path('source.txt'), backupPath: place.path('out', 'target'), retryDelayMs: 100, maxRetries: 1 }),
    found: () => readFileSync(place.path('out', 'target'), 'utf8'),
  },
  batch: {
    steps: { first: 'planBatch', later: 'backupChunk' },
    prepare: () => undefined,
    change: (content) => writeFileSync(place.path('listed.txt'), content),
    start: () => place.client.startBackupBatch({ sources: [place.path('listed.txt')], backupDir: place.path('backups'), retryDelayMs: 100, maxRetries: 1 }),
    found: () => readFileSync(place.path('backups', 'listed.txt.backup'), 'utf8'),
  },
  snapshot: {
    steps: { first: 'planSnapshot', later: 'snapshotChunk' },
    prepare: () => makeRepository(place, ['kept']),
    change: (content) => writeSource(place, 'changed', content),
    start: () => place.client.startBackupSnapshot(requestOf(place, { maxRetries: 1 })),
    found: ({ snapshot }: { snapshot?: string }) => readFileSync(copyOf(place, snapshot ?? null, sourceOf(place, 'changed')), 'utf8'),
  },
};

describe.each(Object.entries(kinds))('a %s', (_name, { steps, prepare, change, start, found }) => {
  beforeAll(prepare);

  test('that was finished and is reset is no answer to the same request: that gets a run of its own', async () => {
    change('as it was');
    const earlier = await start();
    expect(await earlier.result()).toMatchObject({ success: true });
    change('as it is');
    const entered = hold(steps.first);
    const runId = await resetRun(place.temporal, earlier, 'first');
    await entered;
    const handle = await start();
    expect(handle).toMatchObject({ attached: true, isOutdated: true, runId, firstRunId: earlier.runId });
    letGo();
    const output = await handle.result();
    expect(output).toMatchObject({ success: true });
    expect(found(output)).toBe('as it is');
    expect([earlier.runId, runId]).not.toContain(handle.runId);
    expect((await place.temporal.workflow.getHandle(handle.workflowId, runId).describe()).status.name).toBe('COMPLETED');
  });

  test.each(['first', 'last'] as const)('that is reset to its %s workflow task while it is followed is followed on', async (point) => {
    change(`reset to the ${point} one`);
    const entered = hold(steps.later);
    const handle = await start();
    const { runId: before } = handle;
    const result = handle.result();
    await entered;
    // What is held is cancelled by it.
    const runId = await resetRun(place.temporal, handle, point);
    const output = await result;
    expect(output).toMatchObject({ success: true });
    expect(found(output)).toBe(`reset to the ${point} one`);
    expect(handle).toMatchObject({ runId, firstRunId: before });
  });

  test('that was terminated and is reset is followed in its new execution', async () => {
    change('before the end');
    const entered = hold(steps.first);
    const ended = await start();
    await entered;
    await place.temporal.workflow.getHandle(ended.workflowId).terminate('a test');
    expect(await ended.result()).toMatchObject({ success: false, errorCode: 'Terminated' });
    await resetRun(place.temporal, ended, 'first');
    // As a program that was away while that happened.
    expect(await ended.result()).toMatchObject({ success: true });
    expect(found(await ended.result())).toBe('before the end');
  });
});

test('a restore that was reset is no answer to the same request either', async () => {
  const request = { ...requestOf(place), host: undefined, sources: undefined };
  const restore = { repository: request.repository, snapshot: 'latest', target: place.path('restored'), retryDelayMs: 100, maxRetries: 1 };
  expect(published(place)).not.toEqual([]);
  mkdirSync(restore.target);
  const earlier = await place.client.startRestoreSnapshot(restore);
  expect(await earlier.result()).toMatchObject({ success: true });
  const entered = hold('closeRestore');
  await resetRun(place.temporal, earlier, 'first');
  await entered;
  const handle = await place.client.startRestoreSnapshot(restore);
  expect(handle).toMatchObject({ attached: true, isOutdated: true });
  // What was restored by the reset run is gone again: only a run that begins now can bring it back.
  rmSync(place.path('restored', sourceOf(place, 'kept')));
  letGo();
  expect(await handle.result()).toMatchObject({ success: true });
  expect(readFileSync(place.path('restored', sourceOf(place, 'kept')), 'utf8')).toContain('content of kept');
});

test('the operation itself, sent again, is what its reset run comes to', async () => {
  const request = { sourcePath: place.path('own.txt'), backupPath: place.path('own.copy'), operationId: randomUUID(), retryDelayMs: 100 };
  writeFileSync(request.sourcePath, 'own');
  const first = await place.client.startBackupFile(request);
  await first.result();
  const entered = hold('inspectFile');
  const runId = await resetRun(place.temporal, first, 'first');
  await entered;
  const again = await place.client.startBackupFile(request);
  letGo();
  expect(again).toMatchObject({ attached: true, isOutdated: false, runId });
  expect(await again.result()).toMatchObject({ success: true, operationId: request.operationId });
  expect(again.runId).toBe(runId);
});

test('a run whose first execution is reset after it has continued as new is followed there', async () => {
  const taskQueue = `alone-${randomUUID()}`;
  const workflowId = `chain-${randomUUID()}`;
  const runId = await stranger.start('any', workflowId, taskQueue, []);
  const run = { workflowId, runId, firstRunId: runId };
  const output = outputOf(place.temporal, run, z.object({ success: z.boolean(), from: z.string() }), (errorCode) => ({ success: false, from: errorCode }));
  await stranger.answerWorkflowTask(taskQueue, [continuation('any', taskQueue)]);
  await stranger.answerWorkflowTask(taskQueue, []);
  const reset = await resetRun(place.temporal, { workflowId, runId }, 'first');
  await stranger.answerWorkflowTask(taskQueue, [completion([plain({ success: true, from: 'the reset' })])]);
  expect(await output).toEqual({ success: true, from: 'the reset' });
  expect(run.runId).toBe(reset);
});

test.each([
  ...[0, 1, 2, 3, 4, 5, 6].map((task) => ['file', task] as const),
  ...[0, 1, 2, 3].map((task) => ['batch', task] as const),
])('a finished %s that is reset to its workflow task %d does not stand in the way of the same request', async (name, task) => {
  const { change, start, found } = kinds[name]!;
  change(`before ${task}`);
  const earlier = await start();
  expect(await earlier.result()).toMatchObject({ success: true });
  change(`after ${task}`);
  const runId = await resetRun(place.temporal, earlier, task);
  // Its steps have been undone or cleaned up after, so that it may well fail, but not for want of a proof.
  expect(['StagingRevoked', 'RunAltered', null]).toContain((await earlier.result()).errorCode);
  expect(earlier.runId).toBe(runId);
  const output = await (await start()).result();
  expect(output).toMatchObject({ success: true });
  expect(found(output)).toBe(`after ${task}`);
});
