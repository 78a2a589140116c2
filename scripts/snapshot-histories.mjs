// Snapshots, restores and times of schedules whose histories scripts/record-histories.mjs records, on the server that
// batches have, which suggests early to continue as new.
import { mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Long when they are planned, so that each file makes a chunk of its own, and short when they are copied. */
const PLANNED_BYTES = 200 * 1024 * 1024;

/** More than two chunks of a restore have. */
const MANY = 1100;

/** What is recorded: a kind, the request beyond the defaults, what goes wrong, and what somebody does meanwhile. */
export function snapshotScenarios({ failure }) {
  const first = (wanted, change) => {
    let isFirst = true;
    return async (step, next) => {
      if (step !== wanted || !isFirst) return next();
      isFirst = false;
      return change(next);
    };
  };
  const passing = async (next) => ({ ...(await next()), passing: 1, singles: null });
  const gone = () => Promise.reject(failure('DestinationGone', 'Made to fail'));
  const cancel = (handle) => handle.cancel();
  return {
    'snapshot-complete': { kind: 'snapshot', chunks: 3, input: { lanes: 2 } },
    'snapshot-partial': { kind: 'snapshot', chunks: 2, missing: true, around: first('snapshotChunk', passing) },
    'snapshot-cancelled': { kind: 'snapshot', chunks: 3, meanwhile: cancel },
    'snapshot-continued': { kind: 'snapshot', chunks: 14 },
    'snapshot-waited': { kind: 'snapshot', chunks: 2, input: { maxRetries: 0 }, around: first('sealSnapshot', gone) },
    'snapshot-nothing': { kind: 'snapshot', chunks: 0, onlyMissing: true },
    'restore-complete': { kind: 'restore', files: 3 },
    'restore-failures': { kind: 'restore', files: 3, damage: true, input: { maxRetries: 1 } },
    'restore-cancelled': { kind: 'restore', files: MANY, meanwhile: cancel },
    'restore-unplanned': { kind: 'restore', files: 1, input: { paths: ['/nobody'] } },
    // The histories scheduled-complete and scheduled-damaged are of a version that is no more, and stay as they are.
    'scheduled-apart': { kind: 'scheduled', files: 3 },
    'scheduled-apart-damaged': { kind: 'scheduled', files: 3, damage: true },
    'scheduled-waited': { kind: 'scheduled', files: 3, busy: true },
  };
}

/** Runs one and answers the histories of its executions by name: the first, and the last of several. */
export async function runSnapshotScenario(name, scenario, { folder, temporal, operationId, initRepository }) {
  const { kind, chunks = 0, files = 0, missing = false, onlyMissing = false, damage = false, busy = false, input = {}, meanwhile } = scenario;
  const [source, repository] = [join(folder, 'source'), join(folder, 'repository')];
  initRepository(repository);
  mkdirSync(source);
  for (let index = 0; index < chunks; index += 1) writeLong(join(source, `file-${index}`));
  for (let index = 0; index < files; index += 1) writeFileSync(join(source, `file-${index}`), `content ${index}\n`);
  const sources = [...(onlyMissing ? [] : [source]), ...(missing || onlyMissing ? [join(folder, 'missing')] : [])];
  const common = { repository, retryDelayMs: 100, lanes: 1 };
  const snapshot = { ...common, sources, host: 'host' };
  const start = (type, workflowId, args) => temporal.workflow.start(type, { taskQueue: 'histories', workflowId, args });
  if (kind !== 'snapshot') await (await start('backupSnapshot', `${name}-earlier`, [{ ...snapshot, operationId: operationId.replace(/^0/, '1') }])).result();
  if (damage) damageCopy(repository, source);
  const starts = {
    snapshot: () => start('backupSnapshot', name, [{ ...snapshot, operationId, ...input }]),
    restore: () => start('restoreSnapshot', name, [{ ...common, target: join(folder, 'target'), operationId, ...input }]),
    scheduled: () => start('scheduledSnapshot', name, [{ snapshot, prune: { last: 3, tags: [] }, check: { readData: '100%' } }, { workflowId: `${name}-snapshot`, memo: {}, summary: name }]),
  };
  // Somebody else takes the same snapshot, and is at it until the schedule waits.
  const other = busy ? await temporal.workflow.start('backupSnapshot', { taskQueue: 'nobody', workflowId: `${name}-snapshot`, args: [] }) : undefined;
  const handle = await starts[kind]();
  while (busy && (await handle.query('status')).waitingFor === null) await delay(10);
  await other?.terminate();
  if (meanwhile !== undefined) {
    while ((await handle.query('progress')).finishedChunks === 0) await delay(10);
    await meanwhile(handle);
  }
  await handle.result().catch(() => undefined);
  const first = await temporal.workflow.getHandle(name, handle.firstExecutionRunId).fetchHistory();
  const continued = first.events.at(-1).workflowExecutionContinuedAsNewEventAttributes;
  return continued ? { [name]: first, [`${name}-last`]: await temporal.workflow.getHandle(name).fetchHistory() } : { [name]: first };
}

/** What an activity of a snapshot goes through: files become short once they are planned. */
export function aroundSnapshot({ chunks = 0, around = (_step, next) => next() }, folder) {
  return async (step, _attempt, run) => {
    const result = await around(step, run);
    if (step === 'planSnapshot') for (let index = 0; index < chunks; index += 1) writeFileSync(join(folder, 'source', `file-${index}`), 'content\n');
    return result;
  };
}

function writeLong(path) {
  writeFileSync(path, '');
  truncateSync(path, PLANNED_BYTES);
}

/** Of the only snapshot. */
function damageCopy(repository, source) {
  const [snapshot] = readdirSync(repository).filter((entry) => !entry.startsWith('.'));
  writeFileSync(join(repository, snapshot, 'data', source, 'file-0'), 'damaged\n');
}
