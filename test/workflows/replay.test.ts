import { readdirSync, readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { bundleWorkflowCode, DefaultLogger, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import { signingConverter } from '../../src/keys/data-converter';
import { payloadKeys, type PayloadKeys } from '../../src/keys/payload-keys';
import { createLogger, installRuntime } from '../../src/log';
import { WORKFLOW_BUNDLE } from '../../src/worker/create-worker';

/** Of the signed histories, as scripts/signed-histories.mjs has it: known to everybody, and of nothing else. */
const historiesKeys = payloadKeys([Buffer.alloc(32, 'recorded histories')]);

interface Recorded {
  readonly events: readonly { readonly workflowExecutionStartedEventAttributes?: { readonly workflowId?: string } }[];
}

/** Recorded from real runs by scripts/record-histories.mjs. */
const HISTORIES = resolve(__dirname, '../histories');

const names = readdirSync(HISTORIES).map((file) => basename(file, '.json')).sort();

beforeAll(() => installRuntime({ log: createLogger('silent') }));

/** Replays histories with a bundle; answers what was wrong with each, null for nothing. */
async function replay(workflowBundle: WorkflowBundleOption, histories: readonly string[], keys?: PayloadKeys): Promise<Record<string, string | null>> {
  const answers: Record<string, string | null> = {};
  const dataConverter = keys && signingConverter({ keys, marksPlain: true });
  for (const name of histories) {
    const history = JSON.parse(readFileSync(resolve(HISTORIES, `${name}.json`), 'utf8')) as Recorded;
    // Payloads are signed for the id of their workflow.
    const workflowId = history.events[0]?.workflowExecutionStartedEventAttributes?.workflowId ?? name;
    // As is all that they are for the workers of one queue.
    const options = { workflowBundle, dataConverter, taskQueue: 'histories' };
    for await (const { error } of Worker.runReplayHistories(options, [{ workflowId, history }])) answers[name] = error === undefined ? null : `${error.name}: ${error.message}`;
  }
  return answers;
}

test('every way a backup or a restore can go has a recorded history', () => {
  expect(names).toEqual([
    'adopted',
    'batch-cancelled',
    'batch-collision',
    'batch-continued',
    'batch-continued-last',
    'batch-escalated',
    'batch-happy',
    'batch-paused',
    'batch-rolled-back',
    'batch-second-pass',
    'batch-waited',
    'cancelled',
    'circuit-fail',
    'circuit-wait',
    'fresh-copy',
    'happy',
    'in-place',
    'in-place-again',
    'interrupted',
    'missing-source',
    'replaced',
    'restore-cancelled',
    'restore-complete',
    'restore-failures',
    'restore-unplanned',
    'retried',
    'rolled-back',
    'scheduled-apart',
    'scheduled-apart-damaged',
    'scheduled-complete',
    'scheduled-damaged',
    'scheduled-waited',
    'signed-batch-continued',
    'signed-batch-continued-last',
    'signed-file',
    'signed-reset-beginning',
    'signed-reset-middle',
    'snapshot-cancelled',
    'snapshot-complete',
    'snapshot-continued',
    'snapshot-continued-last',
    'snapshot-nothing',
    'snapshot-partial',
    'snapshot-waited',
    'undo-failed',
  ]);
});

test('recorded histories replay with the present workflows: runs that are under way survive an upgrade', async () => {
  const answers = await replay({ codePath: WORKFLOW_BUNDLE }, names.filter((name) => !isSigned(name)));
  expect(answers).toEqual(Object.fromEntries(names.filter((name) => !isSigned(name)).map((name) => [name, null])));
});

test('signed histories, of runs that were reset too, replay at a worker with their key; unsigned ones replay there as they were', async () => {
  const answers = await replay({ codePath: WORKFLOW_BUNDLE }, names, historiesKeys);
  expect(answers).toEqual(Object.fromEntries(names.map((name) => [name, null])));
});

const isSigned = (name: string): boolean => name.startsWith('signed-');

test('a workflow with two steps swapped is found out, and with the steps as they are it is not', async () => {
  const logger = new DefaultLogger('ERROR');
  const [same, swapped] = await Promise.all(['same-order', 'swapped-order'].map((name) => bundleWorkflowCode({ workflowsPath: require.resolve(`./fixtures/${name}`), logger })));
  expect(await replay(same!, ['happy', 'replaced'])).toEqual({ happy: null, replaced: null });
  const answers = await replay(swapped!, ['happy', 'replaced']);
  for (const name of ['happy', 'replaced']) expect(answers[name]).toMatch(/^DeterminismViolationError: .*\bNondeterminism\b.*verifyFile/s);
});
