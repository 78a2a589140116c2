// node scripts/record-histories.mjs [name…]: records test/histories/*.json anew from real runs, on a server of its own.
// Do so when a change of the workflows is meant to change their histories; test/workflows/replay.test.ts replays them.
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setInterval } from 'node:timers';
import { aroundBatch, batchScenarios, runBatchScenario, startBatchServer } from './batch-histories.mjs';
import { ensureBuilt, ensureInstalled, root } from './setup.mjs';
import { aroundSigned, HISTORIES_SECRET, signedScenarios } from './signed-histories.mjs';
import { aroundSnapshot, runSnapshotScenario, snapshotScenarios } from './snapshot-histories.mjs';

ensureInstalled();
ensureBuilt();
const require = createRequire(import.meta.url);
const built = (path) => require(join(root, 'lib', path));
const { Context } = require('@temporalio/activity');
const { Client } = require('@temporalio/client');
const { historyToJSON } = require('@temporalio/common/lib/proto-utils');
const { NativeConnection } = require('@temporalio/worker');
const { BackupClient } = built('client.js');
const { fileWorkflowId } = built('workflow-ids.js');
const { cacheDirectory } = built('config.js');
const { SEARCH_ATTRIBUTES } = built('core/names.js');
const { failure } = built('failures.js');
const { createLogger, installRuntime } = built('log.js');
const { resolveTemporalBinary } = built('server/binary.js');
const { acquireEmbeddedServer } = built('server/embedded.js');
const { freePort } = built('server/ports.js');
const { signingConverter } = built('keys/data-converter.js');
const { payloadKeys } = built('keys/payload-keys.js');
const { initRepository } = built('storage/snapshot/repository.js');
const { createBackupWorker } = built('worker.js');

/** Neutral, because paths stand in the histories. */
const FOLDER = '/tmp/file-backup-histories';
const target = join(root, 'test', 'histories');

/** A step that goes wrong: in its first attempts, instead of the real one, or after it. */
const failsFirst = (step, type) => (name, attempt, run) => (name === step && attempt === 1 ? Promise.reject(failure(type, 'Made to fail')) : run());
const failsOnce = (step, type) => {
  let failed = false;
  return (name, _attempt, run) => {
    if (name !== step || failed) return run();
    failed = true;
    return Promise.reject(failure(type, 'Made to fail'));
  };
};
const failsAfter = (step, type) => async (name, _attempt, run) => {
  const result = await run();
  if (name === step) throw failure(type, 'Made to fail');
  return result;
};
const failsAlways = (step, type) => (name, _attempt, run) => (name === step ? Promise.reject(failure(type, 'Made to fail')) : run());
const holds = (step) => async (name, _attempt, run) => {
  if (name !== step) return run();
  const heartbeat = setInterval(() => Context.current().heartbeat(), 100);
  return Context.current().cancelled.finally(() => heartbeat.close());
};
const both = (first, second) => (name, attempt, run) => first(name, attempt, () => second(name, attempt, run));

/** What is recorded. Each run has a folder, and with it a circuit, of its own. */
const scenarios = {
  happy: {},
  replaced: { previous: true },
  'missing-source': { input: { sourcePath: join(FOLDER, 'missing-source', 'nothing') } },
  retried: { around: failsFirst('stageFile', 'DestinationError') },
  'fresh-copy': { around: failsOnce('verifyFile', 'ChecksumMismatch') },
  interrupted: { input: { maxRetries: 0 }, around: failsOnce('stageFile', 'Interrupted') },
  cancelled: { previous: true, around: holds('publishFile'), cancelAt: 'publishFile' },
  'rolled-back': { previous: true, around: failsAfter('publishFile', 'DestinationConflict') },
  'undo-failed': { previous: true, around: both(failsAfter('publishFile', 'DestinationConflict'), failsAlways('unpublishFile', 'PermissionDenied')) },
  adopted: { around: failsAfter('publishFile', 'StagingRevoked') },
  'circuit-wait': { before: openCircuit },
  'circuit-fail': { before: openCircuit, input: { onCircuitOpen: 'fail' } },
  'in-place': { input: { atomic: false } },
  'in-place-again': { input: { atomic: false }, around: failsOnce('writeTarget', 'DestinationError') },
};

const batches = batchScenarios({ failure });
const snapshots = snapshotScenarios({ failure });

const asked = process.argv.slice(2);
const wanted = (all) => Object.keys(all).filter((name) => asked.length === 0 || asked.includes(name));
const names = wanted(scenarios);
const arounds = new Map();
let aroundOthers = (_step, _attempt, run) => run();

// Not `recursive`: a folder that is there may be in use.
mkdirSync(FOLDER, { mode: 0o700 });
try {
  if (names.length > 0) await record();
  const runs = [...wanted(batches), ...wanted(snapshots)];
  const signed = wanted(signedScenarios);
  if (runs.length > 0 || signed.length > 0) await onBatchServer((connection, log) => recordRuns(runs, connection, log).then(() => recordSigned(signed, connection, log)));
} finally {
  rmSync(FOLDER, { recursive: true, force: true });
}
process.exit();

async function record() {
  const log = createLogger('silent');
  installRuntime({ log });
  const binary = async () => (await resolveTemporalBinary({ cacheDirectory: cacheDirectory(), env: process.env })).path;
  const server = await acquireEmbeddedServer({ stateDirectory: join(FOLDER, 'server'), binary, searchAttributes: SEARCH_ATTRIBUTES, log: console.error });
  const connection = await NativeConnection.connect({ address: server.address });
  const worker = await startWorker(connection, names, log);
  const temporal = new Client({ connection });
  try {
    for (const name of names) await recordOne(name, new BackupClient({ connection, namespace: 'default', taskQueue: 'histories' }), temporal);
  } finally {
    await worker.stop();
    await connection.close();
    await server.release();
  }
}

/** A worker that may use a folder for each run. */
async function startWorker(connection, runs, log, keys) {
  const folders = runs.map((name) => join(FOLDER, name));
  folders.forEach((folder) => mkdirSync(folder));
  const worker = await createBackupWorker({
    connection,
    namespace: 'default',
    taskQueue: 'histories',
    roots: { sources: folders, destinations: folders },
    stateDirectory: join(FOLDER, 'worker'),
    log,
    payloadKeys: keys,
    breaker: { failureThreshold: 2, recoveryTimeoutMs: 2000 },
    interceptors: [({ info }) => ({ inbound: { execute: (input, next) => around(info)(info.activityType, info.attempt, () => next(input)) } })],
  });
  const running = worker.run();
  return {
    stop: async () => {
      worker.shutdown();
      await running;
    },
  };
}

/** A server of their own for runs of many files. */
async function onBatchServer(record) {
  const log = createLogger('silent');
  if (names.length === 0) installRuntime({ log });
  const { path } = await resolveTemporalBinary({ cacheDirectory: cacheDirectory(), env: process.env });
  const [port, apiPort] = await Promise.all([freePort(), freePort()]);
  const server = await startBatchServer(path, port, apiPort);
  const connection = await connectWhenUp(server.address);
  try {
    await record(connection, log);
  } finally {
    await connection.close();
    await server.stop();
  }
}

async function recordRuns(runs, connection, log) {
  const worker = await startWorker(connection, runs, log);
  try {
    for (const [position, name] of runs.entries()) {
      const folder = join(FOLDER, name);
      const isSnapshot = name in snapshots;
      arounds.set(name, isSnapshot ? aroundSnapshot(snapshots[name], folder) : aroundBatch(batches[name], folder));
      const operationId = `00000000-0000-4000-8000-${String((isSnapshot ? 200 : 100) + position).padStart(12, '0')}`;
      const place = { folder, temporal: new Client({ connection }), operationId, initRepository };
      const histories = await (isSnapshot ? runSnapshotScenario(name, snapshots[name], place) : runBatchScenario(name, batches[name], place));
      for (const [run, history] of Object.entries(histories)) write(run, history);
    }
  } finally {
    await worker.stop();
  }
}

/** With a worker that has a key. */
async function recordSigned(runs, connection, log) {
  const keys = payloadKeys([HISTORIES_SECRET]);
  const worker = await startWorker(connection, runs, log, keys);
  const temporal = new Client({ connection, dataConverter: signingConverter({ keys }) });
  const client = new BackupClient({ connection, namespace: 'default', taskQueue: 'histories', payloadKeys: keys });
  const historyOf = ({ workflowId, runId }) => temporal.workflow.getHandle(workflowId, runId).fetchHistory();
  /** To one of its workflow tasks, and waits for the end of the new execution. */
  const reset = async ({ workflowId, runId }, task) => {
    const completed = (await historyOf({ workflowId, runId })).events.filter((event) => event.workflowTaskCompletedEventAttributes);
    const next = await temporal.workflowService.resetWorkflowExecution({ namespace: 'default', workflowExecution: { workflowId, runId }, workflowTaskFinishEventId: completed[task].eventId, requestId: randomUUID(), reason: 'recorded' });
    await temporal.workflow.getHandle(workflowId, next.runId).result();
    return { workflowId, runId: next.runId };
  };
  try {
    for (const name of runs) {
      const folder = join(FOLDER, name);
      aroundOthers = aroundSigned(folder);
      for (const [run, history] of Object.entries(await signedScenarios[name]({ client, folder, historyOf, reset }))) write(run, history);
    }
  } finally {
    await worker.stop();
  }
}

async function connectWhenUp(address) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await NativeConnection.connect({ address });
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

function write(name, recorded) {
  const history = JSON.parse(historyToJSON(recorded));
  const events = scrubbed(history.events).map((event) => JSON.stringify(event));
  writeFileSync(join(target, `${name}.json`), `{"events":[\n${events.join(',\n')}\n]}\n`);
  console.log(`${name}: ${events.length} events`);
}

async function recordOne(name, client, temporal) {
  const { previous = false, input = {}, before, cancelAt } = scenarios[name];
  const folder = join(FOLDER, name);
  const request = { sourcePath: join(folder, 'source'), backupPath: join(folder, 'target'), retryDelayMs: 100, ...input };
  writeFileSync(join(folder, 'source'), 'content\n');
  if (previous) copyFileSync(join(folder, 'source'), request.backupPath);
  await before?.(client, request);
  arounds.set(fileWorkflowId('histories', request.backupPath), scenarios[name].around);
  const handle = await client.startBackupFile({ ...request, operationId: operationIdOf(name) });
  if (cancelAt !== undefined) {
    while (!(await client.progress(handle)).step?.includes(cancelAt)) await new Promise((resolve) => setTimeout(resolve, 20));
    await client.cancel(handle.workflowId);
  }
  const { errorCode, publishedBy, rollback } = await handle.result();
  console.log(`${errorCode ?? publishedBy}, rollback ${rollback.status}`);
  write(name, await temporal.workflow.getHandle(handle.workflowId, handle.runId).fetchHistory());
}

/** Two operations that fail open the circuit of the destination. */
async function openCircuit(client, request) {
  for (const name of ['first', 'second']) {
    const backupPath = `${request.backupPath}-${name}`;
    arounds.set(fileWorkflowId('histories', backupPath), failsAlways('stageFile', 'DestinationError'));
    await client.backupFile({ ...request, maxRetries: 0, backupPath });
  }
}

function operationIdOf(name) {
  return `00000000-0000-4000-8000-${String(Object.keys(scenarios).indexOf(name) + 1).padStart(12, '0')}`;
}

function around({ workflowExecution }) {
  return arounds.get(workflowExecution.workflowId) ?? aroundOthers;
}

/** Without what says on which machine it was recorded. */
function scrubbed(value) {
  if (Array.isArray(value)) return value.map(scrubbed);
  if (typeof value === 'string') return value.replace(/\d+@[\w.-]+/g, 'worker@host');
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, key === 'stackTrace' ? '' : scrubbed(inner)]));
}
