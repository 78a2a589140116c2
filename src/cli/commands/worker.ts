import type { Server } from 'node:http';
import { hostname } from 'node:os';
import type { NativeConnection } from '@temporalio/worker';
import { messageOf } from '../../core/error-message';
import { hostTaskQueue } from '../../core/names';
import { serveHealth, type Health } from '../../worker/health';
import { onStopSignal } from '../../worker/stop-signal';
import { connectTo } from '../connect';
import { UsageError } from '../exit-codes';
import { repeated, serverCommand, trustDestinationOption, wholeNumber } from '../options';
import { createOutput } from '../output';
import { openServer } from '../server-session';

export const workerCommand = serverCommand('worker')
  .description('serve backups of this host until SIGTERM; nothing is allowed that is not named')
  .option('--source-root <directory>', 'backups may read below it; may be repeated', repeated, [])
  .option('--destination-root <directory>', 'backups may write below it; may be repeated', repeated, [])
  .option(...trustDestinationOption)
  .option('--task-queue <name>', 'queue to serve; workers that share storage may share one', hostTaskQueue(hostname()))
  .option('--concurrency <number>', 'steps at a time', wholeNumber('--concurrency', 1, 1000), 10)
  .option('--shutdown-grace <seconds>', 'how long running steps may take to finish', wholeNumber('--shutdown-grace', 0, 86_400), 30)
  .option('--circuit-failures <number>', 'failed backups in a row that open a destination\'s circuit', wholeNumber('--circuit-failures', 1, 1000), 5)
  .option('--circuit-recovery <seconds>', 'how long an open circuit waits before it probes', wholeNumber('--circuit-recovery', 1, 86_400), 60)
  .option('--health-port <number>', 'answer GET /livez and /readyz on this loopback port', wholeNumber('--health-port', 1, 65_535))
  .option('--metrics-port <number>', 'serve Prometheus metrics on this loopback port', wholeNumber('--metrics-port', 1, 65_535))
  .action(async (options, command) => {
    if (options.sourceRoot.length === 0) throw new UsageError('A worker needs at least one --source-root: backups may read nothing that is not named');
    if (options.destinationRoot.length === 0) throw new UsageError('A worker needs at least one --destination-root: backups may write nothing that is not named');
    const [{ NativeConnection: Native }, { createLogger, installRuntime }, { createBackupWorker }, { missingRoots, resolveRoots }, { registerSearchAttributes }] = await Promise.all([
      import('@temporalio/worker'),
      import('../../log.js'),
      import('../../worker/create-worker.js'),
      import('../../worker/roots.js'),
      import('../../client/search-attributes.js'),
    ]);
    const log = createLogger(command.getOptionValueSource('logLevel') === 'default' ? 'info' : options.logLevel);
    installRuntime({ log, ...(options.metricsPort === undefined ? {} : { metricsAddress: `127.0.0.1:${options.metricsPort}` }) });
    // The server that every command of this state directory uses, and not whichever listens on the usual port.
    const server = await openServer(options, { ...createOutput(false), note: (text) => log.info([text].flat().join(' ')) });
    try {
      const { namespace, stateDirectory, payloadKeys } = server;
      const connection = await connectTo(server, (connectionOptions) => Native.connect(connectionOptions));
      const attributes = await registerSearchAttributes(connection, namespace);
      if (!attributes.registered) log.warn({ reason: attributes.reason }, 'Search attributes could not be registered: searches and byte totals will miss runs');
      const roots = resolveRoots(options.sourceRoot, options.destinationRoot, { trustDestinations: options.trustDestination });
      for (const root of missingRoots(roots)) log.warn({ root }, 'A root is no directory that is there: what is asked for below it fails until it is');
      const { taskQueue } = options;
      const worker = await createBackupWorker({
        ...{ connection, namespace, taskQueue, roots, stateDirectory, payloadKeys, log },
        maxConcurrentSteps: options.concurrency,
        shutdownGraceMs: options.shutdownGrace * 1000,
        breaker: { failureThreshold: options.circuitFailures, recoveryTimeoutMs: options.circuitRecovery * 1000 },
      });
      const isLive = (): boolean => worker.worker.getState() === 'RUNNING';
      const health = options.healthPort === undefined ? undefined : await listen(options.healthPort, { isLive, isReady: () => answers(connection, namespace) });
      onStopSignal((signal) => {
        log.info({ signal }, 'Worker stopping');
        worker.shutdown();
      });
      log.info({ address: server.connectionOptions.address, namespace, taskQueue, sourceRoots: roots.sources, destinationRoots: roots.destinations }, 'Worker started');
      try {
        await worker.run();
      } finally {
        health?.close();
        await connection.close();
      }
      log.info('Worker stopped');
    } finally {
      await server.release();
    }
  });

async function listen(port: number, health: Health): Promise<Server> {
  try {
    return await serveHealth(port, health);
  } catch (error) {
    throw new UsageError(`--health-port ${port} cannot be listened on: ${messageOf(error)}`);
  }
}

/** Whoever asks is not to wait longer than that. */
const READY_WITHIN_MS = 2000;

/** Whether the server answers a question about the namespace that is served. */
async function answers(connection: NativeConnection, namespace: string): Promise<boolean> {
  try {
    await connection.withDeadline(Date.now() + READY_WITHIN_MS, () => connection.workflowService.describeNamespace({ namespace }));
    return true;
  } catch {
    // Whatever it is, the worker gets no work.
    return false;
  }
}
