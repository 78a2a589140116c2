import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { Context } from '@temporalio/activity';
import { NotAuthenticError } from '../../src/client';
import { payloadKeys } from '../../src/keys/payload-keys';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { failureTypeOf, meetStranger, stepsIn, type Stranger } from '../helpers/stranger';

/** Runs that began at a worker without a key, and that a worker with one takes over. */
let unsigned: Harness;
let stranger: Stranger;
/** The step that is held until its worker goes. */
let held = '';
const gate = new EventEmitter();

const hold: Around = async (step, _attempt, next) => {
  if (step === held) {
    gate.emit('in');
    const heartbeat = setInterval(() => Context.current().heartbeat(), 100);
    await Context.current().cancelled.finally(() => clearInterval(heartbeat));
  }
  return next();
};

beforeEach(async () => {
  unsigned = await startHarness({ around: hold });
  stranger = await meetStranger();
  writeFileSync(unsigned.path('source'), 'content');
});

afterEach(async () => {
  await stranger?.close();
  await unsigned?.remove();
});

const kinds = {
  file: { step: 'stageFile', target: ['target'], start: () => unsigned.client.startBackupFile({ sourcePath: unsigned.path('source'), backupPath: unsigned.path('target'), retryDelayMs: 100 }) },
  batch: { step: 'backupChunk', target: ['out', 'source.backup'], start: () => unsigned.client.startBackupBatch({ sources: [unsigned.path('source')], backupDir: unsigned.path('out'), retryDelayMs: 100 }) },
};

/** A run that is inside of a step when its worker goes. */
async function leftAlone(kind: keyof typeof kinds): Promise<{ workflowId: string; runId: string }> {
  held = kinds[kind].step;
  const entered = once(gate, 'in');
  const { workflowId, runId } = await kinds[kind].start();
  await entered;
  await unsigned.stop();
  held = '';
  return { workflowId, runId };
}

test.each(Object.keys(kinds) as (keyof typeof kinds)[])('a %s that is under way ends when it comes to a worker with a key, and nothing more is done for it', async (kind) => {
  const run = await leftAlone(kind);
  const steps = stepsIn(await stranger.history(run));
  const signed = await startHarness({ payloadKeys: payloadKeys([randomBytes(32)]), like: unsigned });
  try {
    expect(await failureTypeOf(signed.temporal, run)).toBe('NotAuthentic');
    const events = await stranger.history(run);
    expect(stepsIn(events)).toEqual(steps);
    expect(events.filter(({ workflowTaskFailedEventAttributes: failed }) => failed)).toEqual([]);
    expect(existsSync(unsigned.path(...kinds[kind].target))).toBe(false);
    // Looked at afterwards, it is replayed to its end, and what it says is not believed.
    const query = kind === 'file' ? signed.client.waitingFor(run) : signed.temporal.workflow.getHandle(run.workflowId, run.runId).query('progress').then(() => Promise.reject(new NotAuthenticError('An answer', 'is not signed')));
    await expect(query).rejects.toBeInstanceOf(NotAuthenticError);
    expect((await stranger.history(run)).length).toBe(events.length);
  } finally {
    await signed.stop();
  }
});

test('a run of another key ends likewise', async () => {
  const first = await startHarness({ payloadKeys: payloadKeys([randomBytes(32)]), like: unsigned, around: hold });
  await unsigned.stop();
  held = 'publishFile';
  const entered = once(gate, 'in');
  const { workflowId, runId } = await first.client.startBackupFile({ sourcePath: unsigned.path('source'), backupPath: unsigned.path('target'), retryDelayMs: 100 });
  await entered;
  await first.stop();
  held = '';
  const second = await startHarness({ payloadKeys: payloadKeys([randomBytes(32)]), like: unsigned });
  try {
    expect(await failureTypeOf(second.temporal, { workflowId, runId })).toBe('NotAuthentic');
    expect(stepsIn(await stranger.history({ workflowId, runId })).at(-1)).toBe('publishFile');
    expect(existsSync(unsigned.path('target'))).toBe(false);
  } finally {
    await second.stop();
  }
});
