import { existsSync } from 'node:fs';
import { COMMAND } from './project.mjs';
import { root } from '../scripts/setup.mjs';
import { join } from 'node:path';
import { heartbeatsOf } from './history.mjs';
import { openEngine } from './engine.mjs';
import { runCommand } from './run-command.mjs';
import { runBatch, startServer, startWorker } from './temporal.mjs';

/**
 * This project, three ways: through a server and worker that are up and warm, its storage functions alone, and the
 * whole process of a command.
 */
export function ownContenders(workplace) {
  const service = lazily(() => openService(workplace));
  const engine = lazily(() => openEngine(workplace));
  const contenders = [
    { key: 'temporal-device', title: 'this project, through Temporal, verified from the device', ...through(service, 'device') },
    { key: 'temporal-cache', title: 'this project, through Temporal, verified from the cache', ...through(service, 'cache') },
    { key: 'engine-device', title: 'its engine alone, verified from the device', ...alone(engine, 'device') },
    { key: 'engine-cache', title: 'its engine alone, verified from the cache', ...alone(engine, 'cache') },
    { key: 'command', title: '`file-backup batch` as a whole process, verified from the device', missing: missingCommand, ...wholeProcess(service) },
  ];
  return { contenders, service, close: async () => void (await Promise.all([service.close(), engine.close()])) };
}

const byTree = { copies: ({ source, destination }) => join(destination, source.directory) };

function through(service, verifyFrom) {
  return {
    ...byTree,
    heartbeats: async () => heartbeatsOf((await service.get())[1]),
    warmUp: async (run) => void (await runBatch(...(await service.get()), { ...run, list: run.source.lists.nul, verifyFrom })),
    async run({ source, destination }) {
      const [server, worker] = await service.get();
      const { workflowId, output } = await runBatch(server, worker, { list: source.lists.nul, destination, verifyFrom });
      if (!output.success || output.verifiedFrom !== verifyFrom) throw new Error(`The batch was not verified from the ${verifyFrom}: ${JSON.stringify(output).slice(0, 500)}`);
      return { workflowId };
    },
  };
}

function alone(engine, verifyFrom) {
  const run = async ({ source, destination }) => void (await (await engine.get()).run({ list: source.lists.nul, destination, verifyFrom }));
  return { ...byTree, warmUp: run, run };
}

function wholeProcess(service) {
  return {
    ...byTree,
    async run({ source, destination }) {
      const [server] = await service.get();
      const args = [COMMAND, 'batch', '--files-from', source.lists.newline, '--to', destination, '--layout', 'tree'];
      await runCommand(process.execPath, args, { env: { FILE_BACKUP_STATE_DIR: server.stateDirectory } });
    },
  };
}

function missingCommand() {
  return existsSync(join(root, 'lib', 'cli', 'commands', 'batch.js')) ? undefined : 'there is no command `batch` yet';
}

async function openService(workplace) {
  const server = await startServer(workplace);
  const worker = await startWorker(workplace, server);
  return Object.assign([server, worker], {
    async close() {
      await worker.stop();
      await server.stop();
    },
  });
}

/** Opened when it is first asked for, closed when it was. */
function lazily(open) {
  let opened;
  return { get: () => (opened ??= open()), close: async () => (await opened)?.close() };
}
