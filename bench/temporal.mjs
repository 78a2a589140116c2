import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import { readFreePort, until } from './waiting.mjs';
import { runCommand } from './run-command.mjs';
import { COMMAND, project, temporalClient } from './project.mjs';

/** The embedded server as a command starts it, in a state directory of the benchmark's own. */
export async function startServer(workplace) {
  const { acquireEmbeddedServer } = project('server/embedded.js');
  const { SEARCH_ATTRIBUTES } = project('core/names.js');
  const log = (message) => console.error(message);
  const stateDirectory = workplace.folder('state');
  const server = await acquireEmbeddedServer({ stateDirectory, binary: serverBinary, searchAttributes: SEARCH_ATTRIBUTES, log });
  const { Client, Connection } = temporalClient();
  const connection = await Connection.connect({ address: server.address });
  return {
    address: server.address,
    stateDirectory,
    client: new Client({ connection }),
    stop: workplace.owns(async () => {
      await connection.close();
      await server.release();
    }),
  };
}

/** `file-backup worker` in a process of its own, until it polls. */
export async function startWorker(workplace, server) {
  const taskQueue = `bench-${randomUUID()}`;
  const metricsPort = await readFreePort();
  const logPath = join(workplace.directory, `${taskQueue}.log`);
  const log = openSync(logPath, 'w');
  const args = ['worker', '--address', server.address, '--task-queue', taskQueue, '--state-dir', workplace.folder('worker-state'), '--metrics-port', String(metricsPort)];
  const roots = ['--source-root', workplace.sources, '--destination-root', workplace.destinations];
  // NODE_OPTIONS_OF_WORKER is for profiling.
  const nodeOptions = (process.env.NODE_OPTIONS_OF_WORKER ?? '').split(' ').filter((option) => option !== '');
  const child = spawn(process.execPath, [...nodeOptions, COMMAND, ...args, ...roots], { stdio: ['ignore', log, log] });
  closeSync(log);
  const exited = once(child, 'exit');
  const stop = workplace.owns(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`The worker ended at once: see ${logPath}`);
    return (await pollers(server.client, taskQueue)) > 0;
  }, 30_000);
  return {
    taskQueue,
    metricsPort,
    processId: child.pid,
    stop,
  };
}

async function serverBinary() {
  const { resolveTemporalBinary } = project('server/binary.js');
  const { cacheDirectory } = project('config.js');
  return (await resolveTemporalBinary({ cacheDirectory: cacheDirectory(), env: process.env, log: (message) => console.error(message) })).path;
}

async function pollers({ connection, options }, taskQueue) {
  const answers = await Promise.all(
    [1, 2].map((taskQueueType) => connection.workflowService.describeTaskQueue({ namespace: options.namespace, taskQueue: { name: taskQueue }, taskQueueType })),
  );
  return Math.min(...answers.map((answer) => answer.pollers.length));
}

/** Starts the workflow and waits for its record: what a client of a running service does. */
export async function runBatch(server, worker, { list, destination, verifyFrom }) {
  const input = { sourceList: { path: list, separator: 'nul', sha256: '0'.repeat(64) }, backupDir: destination, layout: 'tree', verifyFrom, operationId: randomUUID() };
  const workflowId = `bench-${randomUUID()}`;
  const handle = await server.client.workflow.start('backupBatch', { taskQueue: worker.taskQueue, workflowId, args: [input, { storage: worker.taskQueue }] });
  return { workflowId, output: await handle.result() };
}

/** Of the server, as the Temporal CLI names it. */
export async function temporalVersion() {
  const path = await serverBinary();
  return (await runCommand(path, ['--version'])).trim().replace(/^temporal version /, 'Temporal CLI ');
}
