import { readdirSync, readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { bundleWorkflowCode, DefaultLogger, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import { createLogger, installRuntime } from '../../src/log';
import { WORKFLOW_BUNDLE } from '../../src/worker/create-worker';

/** Recorded from real runs by scripts/record-histories.mjs. */
const HISTORIES = resolve(__dirname, '../histories');

const names = readdirSync(HISTORIES).map((file) => basename(file, '.json')).sort();

beforeAll(() => installRuntime({ log: createLogger('silent') }));

/** Replays histories with a bundle; answers what was wrong with each, null for nothing. */
async function replay(workflowBundle: WorkflowBundleOption, histories: readonly string[]): Promise<Record<string, string | null>> {
  const answers: Record<string, string | null> = {};
  const recorded = histories.map((workflowId) => ({ workflowId, history: JSON.parse(readFileSync(resolve(HISTORIES, `${workflowId}.json`), 'utf8')) as unknown }));
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, recorded)) answers[workflowId] = error === undefined ? null : `${error.name}: ${error.message}`;
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
    'scheduled-complete',
    'scheduled-damaged',
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
  const answers = await replay({ codePath: WORKFLOW_BUNDLE }, names);
  expect(answers).toEqual(Object.fromEntries(names.map((name) => [name, null])));
});

test('a workflow with two steps swapped is found out, and with the steps as they are it is not', async () => {
  const logger = new DefaultLogger('ERROR');
  const [same, swapped] = await Promise.all(['same-order', 'swapped-order'].map((name) => bundleWorkflowCode({ workflowsPath: require.resolve(`./fixtures/${name}`), logger })));
  expect(await replay(same!, ['happy', 'replaced'])).toEqual({ happy: null, replaced: null });
  const answers = await replay(swapped!, ['happy', 'replaced']);
  for (const name of ['happy', 'replaced']) expect(answers[name]).toMatch(/^DeterminismViolationError: .*\bNondeterminism\b.*verifyFile/s);
});
