import { createServer, type Server } from 'node:http';
import { hostname } from 'node:os';
import { hostTaskQueue } from '../../core/names';
import { serverOrLocal } from '../../client/connect';
import { onStopSignal } from '../../worker/stop-signal';
import { connectTo, readChoice } from '../connect';
import { UsageError } from '../exit-codes';
import { repeated, serverCommand, trustDestinationOption, wholeNumber } from '../options';
import { requireTrustedState } from '../../server/state-files';
import { payloadKeysOf, stateDirectoryOf } from '../server-session';

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
  .option('--health-port <number>', 'answer GET /healthz on this loopback port', wholeNumber('--health-port', 1, 65_535))
  .option('--metrics-port <number>', 'serve Prometheus metrics on this loopback port', wholeNumber('--metrics-port', 1, 65_535))
  .action(async (options, command) => {
    if (options.sourceRoot.length === 0) throw new UsageError('A worker needs at least one --source-root: backups may read nothing that is not named');
    if (options.destinationRoot.length === 0) throw new UsageError('A worker needs at least one --destination-root: backups may write nothing that is not named');
    const [{ NativeConnection }, { createLogger, installRuntime }, { createBackupWorker }, { resolveRoots }, { registerSearchAttributes }] = await Promise.all([
      import('@temporalio/worker'),
      import('../../log.js'),
      import('../../worker/create-worker.js'),
      import('../../worker/roots.js'),
      import('../../client/search-attributes.js'),
    ]);
    const log = createLogger(command.getOptionValueSource('logLevel') === 'default' ? 'info' : options.logLevel);
    installRuntime({ log, ...(options.metricsPort === undefined ? {} : { metricsAddress: `127.0.0.1:${options.metricsPort}` }) });
    const server = readChoice(() => serverOrLocal(options));
    const stateDirectory = stateDirectoryOf(options);
    requireTrustedState(stateDirectory);
    const { namespace } = server;
    const connection = await connectTo(server, (connectionOptions) => NativeConnection.connect(connectionOptions));
    const attributes = await registerSearchAttributes(connection, namespace);
    if (!attributes.registered) log.warn({ reason: attributes.reason }, 'Search attributes could not be registered: searches and byte totals will miss runs');
    const roots = resolveRoots(options.sourceRoot, options.destinationRoot, { trustDestinations: options.trustDestination });
    const { taskQueue } = options;
    const worker = await createBackupWorker({
      connection,
      namespace,
      taskQueue,
      roots,
      stateDirectory,
      payloadKeys: payloadKeysOf(options),
      log,
      maxConcurrentSteps: options.concurrency,
      shutdownGraceMs: options.shutdownGrace * 1000,
      breaker: { failureThreshold: options.circuitFailures, recoveryTimeoutMs: options.circuitRecovery * 1000 },
    });
    const health = options.healthPort === undefined ? undefined : serveHealth(options.healthPort, () => worker.worker.getState() === 'RUNNING');
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
  });

function serveHealth(port: number, isHealthy: () => boolean): Server {
  return createServer((request, response) => {
    const status = request.url !== '/healthz' ? 404 : isHealthy() ? 200 : 503;
    response.writeHead(status).end();
  }).listen(port, '127.0.0.1');
}
