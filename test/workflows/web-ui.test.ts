import { writeFileSync } from 'node:fs';
import type { WorkflowHandle } from '@temporalio/client';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import type { FileBackupHandle } from '../../src/client';
import { bytesKey, operationKey, stateKey } from '../../src/search-attributes';
import { failure } from '../../src/failures';
import { startHarness, type Harness } from '../helpers/backup-harness';

let harness: Harness;
/** Steps that are to fail once, in words of the failure table. */
const failing = new Map<string, 'ChecksumMismatch' | 'DestinationConflict'>();

beforeAll(async () => {
  harness = await startHarness({
    around: (step, _attempt, run) => {
      const type = failing.get(step);
      failing.delete(step);
      return type === undefined ? run() : Promise.reject(failure(type, 'Made to | fail'));
    },
  });
  writeFileSync(harness.path('source'), 'content');
});

afterAll(() => harness?.remove());

interface Page {
  readonly handle: FileBackupHandle;
  readonly workflow: WorkflowHandle;
  readonly details: string;
  /** Summaries of activities and timers, in the order of the history. */
  readonly summaries: string[];
}

/** What the Web UI has to show of a finished backup. */
async function pageOf(target: string, fails: typeof failing = new Map()): Promise<Page> {
  fails.forEach((type, step) => failing.set(step, type));
  const handle = await harness.client.startBackupFile({ sourcePath: harness.path('source'), backupPath: harness.path(target), retryDelayMs: 100 });
  await handle.result();
  const workflow = harness.temporal.workflow.getHandle(handle.workflowId, handle.runId);
  const { currentDetails } = await workflow.query<{ currentDetails: string }>('__temporal_workflow_metadata');
  const { events } = await workflow.fetchHistory();
  const planned = (events ?? []).filter((event) => event.activityTaskScheduledEventAttributes ?? event.timerStartedEventAttributes);
  return { handle, workflow, details: currentDetails, summaries: planned.map(({ userMetadata }) => textOf(userMetadata?.summary)) };
}

function textOf(payload: Payload | null | undefined): string {
  return payload ? defaultPayloadConverter.fromPayload<string>(payload) : '';
}

test('the list of runs shows which file goes where; ids and paths are safe to show', async () => {
  const { handle, workflow } = await pageOf('two\nlines');
  const description = await workflow.describe();
  expect(await description.staticSummary()).toBe(`\`${harness.path('source')}\` → \`${harness.path('two\\nlines')}\``);
  expect(await description.staticDetails()).toBe(`Operation \`${handle.operationId}\``);
  expect(handle.workflowId).toMatch(/^file-backup-[0-9a-f]{32}$/);
  expect(description.memo).toMatchObject({ operationId: handle.operationId, backupPath: harness.path('two\nlines') });
});

test('search attributes tell the state, the operation and the bytes, and no paths', async () => {
  const { handle, workflow } = await pageOf('found');
  const { typedSearchAttributes } = await workflow.describe();
  expect(typedSearchAttributes.get(stateKey)).toBe('committed');
  expect(typedSearchAttributes.get(operationKey)).toBe(handle.operationId);
  expect(typedSearchAttributes.get(bytesKey)).toBe(7);
  expect(JSON.stringify(typedSearchAttributes.getAll())).not.toContain(harness.directory);
});

test('every step of the history says in words what it does', async () => {
  const { summaries } = await pageOf('spoken');
  expect(summaries).toEqual(['inspect source and target', 'create the staging directory', 'copy the source', 'read the copy back', 'publish the copy', 'remove the staging directory']);
});

test('a fresh copy after a wrong one is a labelled timer', async () => {
  const { summaries, details } = await pageOf('afresh', new Map([['verifyFile', 'ChecksumMismatch']]));
  expect(summaries.slice(2, 7)).toEqual(['copy the source', 'read the copy back', 'fresh copy 2', 'copy the source', 'read the copy back']);
  expect(details).toMatch(/\*\*Retries\*\*.*\b1\b/);
});

test('the page of a finished run has the outcome: digest, verification, rollback, time', async () => {
  const { details } = await pageOf('detailed');
  expect(details).toContain(`\`${harness.path('source')}\``);
  expect(details).toContain(`\`${harness.path('detailed')}\``);
  expect(details).toMatch(/\*\*State\*\*.*committed/);
  expect(details).toContain('`ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73`');
  expect(details).toMatch(/\*\*Verified\*\*.*read back from the (device|cache)/);
  expect(details).toMatch(/\*\*Rollback\*\*.*notNeeded/);
  expect(details).toMatch(/\*\*Took\*\*.*\d+ ms|\*\*Took\*\*.*\d+\.\d s/);
});

test('the page of a failed run has the failure and what undo did, and undo is in the history', async () => {
  const { details, summaries, workflow } = await pageOf('undone', new Map([['publishFile', 'DestinationConflict']]));
  expect(details).toMatch(/\*\*State\*\*.*rolledBack/);
  expect(details).toMatch(/\*\*Failure\*\*.*\*\*DestinationConflict\*\*.*Made to/);
  expect(details).toMatch(/\*\*Rollback\*\*.*performed; unpublishFile performed; discardStaging performed/);
  expect(summaries.slice(-2)).toEqual(['undo: put the target back as it was', 'undo: remove what was staged']);
  const { status, typedSearchAttributes } = await workflow.describe();
  expect(status.name).toBe('FAILED');
  expect(typedSearchAttributes.get(stateKey)).toBe('rolledBack');
  expect(typedSearchAttributes.get(bytesKey)).toBe(0);
});

test('the handler of the status query is described', async () => {
  const { workflow } = await pageOf('described');
  const { definition } = await workflow.query<{ definition: { type: string; queryDefinitions: { name: string; description?: string }[] } }>('__temporal_workflow_metadata');
  expect(definition.type).toBe('backupFile');
  expect(definition.queryDefinitions).toContainEqual(expect.objectContaining({ name: 'status', description: 'Where the backup stands' }));
});
