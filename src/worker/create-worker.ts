import { resolve } from 'node:path';
import { Worker, type ActivityInterceptorsFactory, type NativeConnection } from '@temporalio/worker';
import type { Logger } from 'pino';
import { breakerInterceptor, createActivities, DestinationBreakers, ThreadPool, type AllowedRoots } from '../activities';
import { defaultBreakerOptions, type BreakerOptions } from '../core/breaker';
import { StagingRegistry } from '../storage/staging-registry';
import { watchBreakers } from './breaker-report';
import { sweepStaging } from './janitor';

/** Built with the package, never at run time: bundling takes seconds. */
export const WORKFLOW_BUNDLE = resolve(__dirname, '../../lib/workflow-bundle.js');

/** Activities at a time; the tutorial's semaphore had the same number. Waiting for a retry takes none of them. */
const DEFAULT_CONCURRENCY = 10;

export interface BackupWorkerOptions {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly taskQueue: string;
  /** What backups may read and write; real paths without links. Empty means that everything is refused. */
  readonly roots: AllowedRoots;
  /** Where the worker remembers its staging directories. */
  readonly stateDirectory: string;
  readonly log: Logger;
  readonly breaker?: Partial<BreakerOptions>;
  readonly maxConcurrentSteps?: number;
  /** Runs workflow code on the main thread: a thread of its own takes a third of a second to start, which a command for one file feels. */
  readonly workflowsOnMainThread?: boolean;
  /** Further activity interceptors, inside the circuit breaker. */
  readonly interceptors?: readonly ActivityInterceptorsFactory[];
  /** How long running steps may take to finish after a shutdown was asked for, in milliseconds. */
  readonly shutdownGraceMs?: number;
}

/** A worker with what it owns: run it once, to its end. */
export interface BackupWorker {
  readonly worker: Worker;
  /** Serves the queue until `shutdown`; sweeps what terminated runs left at the start and every hour. */
  run(): Promise<void>;
  shutdown(): void;
}

/** Creates a worker of backups. The connection stays the caller's. */
export async function createBackupWorker(options: BackupWorkerOptions): Promise<BackupWorker> {
  const { connection, namespace, log, roots } = options;
  const concurrency = options.maxConcurrentSteps ?? DEFAULT_CONCURRENCY;
  const pool = new ThreadPool(concurrency);
  const registry = new StagingRegistry(options.stateDirectory);
  const { clusterId } = await connection.workflowService.getClusterInfo({});
  const breakers = new DestinationBreakers({ ...defaultBreakerOptions, ...options.breaker }, watchBreakers(log));
  const interceptor = breakerInterceptor({ breakers, destinationRoots: roots.destinations, probe: (root) => pool.run('probeDestination', { root }) });
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: options.taskQueue,
    workflowBundle: { codePath: WORKFLOW_BUNDLE },
    activities: createActivities({ roots, pool, registry, clusterId }),
    interceptors: { activity: [interceptor, ...(options.interceptors ?? [])] },
    maxConcurrentActivityTaskExecutions: concurrency,
    // Cancellation travels with heartbeats: at the SDK's default throttle it would take most of the heartbeat timeout.
    maxHeartbeatThrottleInterval: '1 s',
    defaultHeartbeatThrottleInterval: '1 s',
    maxCachedWorkflows: 100,
    // The SDK has this switch for debuggers; what it changes is the thread, and that no deadlock is looked for.
    debugMode: options.workflowsOnMainThread ?? false,
    shutdownGraceTime: options.shutdownGraceMs ?? 30_000,
  });
  const sweep = () => sweepStaging({ registry, pool, connection, owner: { clusterId, namespace }, log });
  return { worker, run: () => runWith(worker, pool, sweep), shutdown: () => worker.shutdown() };
}

const SWEEP_INTERVAL_MS = 3_600_000;

async function runWith(worker: Worker, pool: ThreadPool, sweep: () => Promise<void>): Promise<void> {
  let sweeping = sweep();
  const timer = setInterval(() => void (sweeping = sweeping.then(sweep)), SWEEP_INTERVAL_MS);
  try {
    await worker.run();
  } finally {
    clearInterval(timer);
    await sweeping;
    await pool.close();
  }
}
