// Snapshots, restores and what a schedule starts, whose histories scripts/record-histories.mjs records on the server of
// the batches, which suggests early to continue as new.
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Long when they are planned, so that each file makes a chunk of its own, and short when they are copied. */
const PLANNED_BYTES = 200 * 1024 * 1024;

/** What is recorded: of which kind, so many files, what is wrong with it, and the step at which it is cancelled. */
export const snapshotScenarios = {
  'snapshot-complete': { kind: 'snapshot', files: 3, input: { lanes: 2, tags: ['nightly'] } },
  'snapshot-partial': { kind: 'snapshot', files: 2, missing: true },
  'snapshot-continued': { kind: 'snapshot', files: 14 },
  'snapshot-cancelled': { kind: 'snapshot', files: 2, cancelAt: 'snapshotChunk' },
  'snapshot-no-repository': { kind: 'snapshot', files: 1, withoutRepository: true },
  'restore-complete': { kind: 'restore', files: 3 },
  'restore-damaged': { kind: 'restore', files: 3, damaged: true },
  'restore-cancelled': { kind: 'restore', files: 2, cancelAt: 'restoreChunk' },
  'scheduled-snapshot': { kind: 'scheduled', files: 2 },
};

/** Runs one and answers the histories of its executions by name: the first, and the last of several. */
export async function runSnapshotScenario(name, { kind, files, input = {}, missing = false, withoutRepository = false, damaged = false, cancelAt }, { folder, temporal, operationId, initRepository }) {
  const [source, repository] = [join(folder, 'source'), join(folder, 'repository')];
  mkdirSync(source);
  sourceFiles(folder, files).forEach(writeLong);
  if (!withoutRepository) initRepository(repository);
  const snapshot = { sources: missing ? [source, join(folder, 'missing')] : [source], repository, host: 'histories', retryDelayMs: 100, lanes: 1, ...input };
  const options = { taskQueue: 'histories', workflowId: name };
  const start = {
    snapshot: () => temporal.workflow.start('backupSnapshot', { ...options, args: [{ ...snapshot, operationId }] }),
    restore: () => temporal.workflow.start('restoreSnapshot', { ...options, args: [{ repository, target: join(folder, 'target'), retryDelayMs: 100, lanes: 1, operationId }] }),
    scheduled: () => temporal.workflow.start('scheduledSnapshot', { ...options, args: [{ snapshot, prune: { last: 1, tags: [] }, check: { readData: '100%' } }, { workflowId: `${name}-child`, memo: {}, summary: 'a snapshot' }] }),
  }[kind];
  if (kind === 'restore') await firstSnapshot(temporal, { ...snapshot, operationId }, damaged ? repository : undefined, `${name}-first`);
  const handle = await start();
  if (cancelAt !== undefined) {
    while (!(await handle.describe()).raw.pendingActivities?.some(({ activityType }) => activityType.name === cancelAt)) await delay(20);
    await handle.cancel();
  }
  await handle.result().catch(() => undefined);
  const first = await temporal.workflow.getHandle(name, handle.firstExecutionRunId).fetchHistory();
  const continued = first.events.at(-1).workflowExecutionContinuedAsNewEventAttributes;
  return continued ? { [name]: first, [`${name}-last`]: await temporal.workflow.getHandle(name).fetchHistory() } : { [name]: first };
}

/** What there is to restore, and perhaps another byte in it than it says. */
async function firstSnapshot(temporal, input, damagedIn, workflowId) {
  const { snapshot } = await temporal.workflow.execute('backupSnapshot', { taskQueue: 'histories', workflowId, args: [input] });
  if (damagedIn !== undefined) writeFileSync(join(damagedIn, snapshot, 'data', input.sources[0], 'file-1'), 'CONTENT\n');
}

/** What an activity goes through: files become short once they are planned, and what is to be cancelled waits for it. */
export function aroundSnapshot({ files, cancelAt }, folder, { cancelled }) {
  return async (step, _attempt, run) => {
    if (step === cancelAt) return cancelled();
    const result = await run();
    if (step === 'planSnapshot') sourceFiles(folder, files).forEach((path) => writeFileSync(path, 'content\n'));
    return result;
  };
}

function sourceFiles(folder, files) {
  return Array.from({ length: files }, (_, index) => join(folder, 'source', `file-${index}`));
}

function writeLong(path) {
  writeFileSync(path, '');
  truncateSync(path, PLANNED_BYTES);
}
