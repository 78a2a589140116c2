// Batches whose histories scripts/record-histories.mjs records, with a server of their own that suggests early to
// continue as new.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Events after which the server suggests it: more than the other batches have. */
const SUGGESTED_EVENTS = 60;

/** Long when they are planned, so that each file makes a chunk of its own, and short when they are copied. */
const PLANNED_BYTES = 200 * 1024 * 1024;

/** What is recorded: so many chunks, the request beyond the defaults, what goes wrong, and what somebody does meanwhile. */
export function batchScenarios({ failure }) {
  const firstChunk = (change) => {
    let isFirst = true;
    return async (step, next) => {
      if (step !== 'backupChunk' || !isFirst) return next();
      isFirst = false;
      return change(next);
    };
  };
  const passing = (singles) => async (next) => {
    const result = await next();
    return { ...result, passing: 1, singles };
  };
  const pauseAndResume = async (handle) => {
    await handle.executeUpdate('pause');
    while ((await handle.query('progress')).current.length > 0) await delay(20);
    await handle.executeUpdate('resume');
  };
  return {
    'batch-happy': { chunks: 3, input: { lanes: 2 } },
    'batch-continued': { chunks: 14 },
    'batch-paused': { chunks: 3, meanwhile: pauseAndResume },
    'batch-cancelled': { chunks: 3, meanwhile: (handle) => handle.cancel() },
    'batch-rolled-back': { chunks: 2, input: { onFailure: 'rollBack' }, missing: true },
    'batch-second-pass': { chunks: 2, around: firstChunk(passing(null)) },
    'batch-escalated': { chunks: 2, around: (folder) => firstChunk(passing([{ index: 0, source: join(folder, 'file-0'), target: 'file-0.backup', workflowId: 'escalated-file-0' }])) },
    'batch-waited': { chunks: 2, input: { maxRetries: 0 }, around: firstChunk(() => Promise.reject(failure('DestinationGone', 'Made to fail'))) },
    'batch-collision': { chunks: 1, collision: true },
  };
}

/** Runs one and answers the histories of its executions by name: the first, and the last of several. */
export async function runBatchScenario(name, { chunks, input = {}, missing = false, collision = false, meanwhile }, { folder, temporal, operationId }) {
  mkdirSync(join(folder, 'other'));
  const sources = Array.from({ length: chunks }, (_, index) => join(folder, `file-${index}`));
  for (const path of sources) writeLong(path);
  if (missing) sources.push(join(folder, 'missing'));
  if (collision) sources.push(join(folder, 'other', 'file-0'));
  const request = { sources, backupDir: join(folder, 'backups'), retryDelayMs: 100, lanes: 1, operationId, ...input };
  const handle = await temporal.workflow.start('backupBatch', { taskQueue: 'histories', workflowId: name, args: [request, { storage: 'histories' }] });
  if (meanwhile !== undefined) {
    while ((await handle.query('progress')).finishedChunks === 0) await delay(10);
    await meanwhile(handle);
  }
  await handle.result().catch(() => undefined);
  const first = await temporal.workflow.getHandle(name, handle.firstExecutionRunId).fetchHistory();
  const continued = first.events.at(-1).workflowExecutionContinuedAsNewEventAttributes;
  return continued ? { [name]: first, [`${name}-last`]: await temporal.workflow.getHandle(name).fetchHistory() } : { [name]: first };
}

/** What an activity of a batch goes through: files become short once they are planned. */
export function aroundBatch({ chunks, around }, folder) {
  const inner = around === undefined ? (_step, next) => next() : around.length === 1 ? around(folder) : around;
  return async (step, _attempt, run) => {
    const result = await inner(step, run);
    if (step === 'planBatch') for (let index = 0; index < chunks; index += 1) writeFileSync(join(folder, `file-${index}`), 'content\n');
    return result;
  };
}

function writeLong(path) {
  writeFileSync(path, '');
  truncateSync(path, PLANNED_BYTES);
}

/** A server in memory. */
export async function startBatchServer(binary, port, apiPort) {
  const options = ['--headless', '--ip', '127.0.0.1', '--log-level', 'error', '--port', String(port), '--http-port', String(apiPort)];
  const server = spawn(binary, ['server', 'start-dev', ...options, '--dynamic-config-value', `limit.historyCount.suggestContinueAsNew=${SUGGESTED_EVENTS}`], { stdio: 'ignore' });
  return {
    address: `127.0.0.1:${port}`,
    stop: async () => {
      server.kill('SIGKILL');
      await once(server, 'exit');
    },
  };
}
