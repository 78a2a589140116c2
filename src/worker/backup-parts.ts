import { Client } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import type { ActivityInterceptorsFactory, NativeConnection } from '@temporalio/worker';
import { breakerInterceptor, createActivities, DestinationBreakers, ThreadPool, type Activities, type AllowedRoots } from '../activities';
import { defaultBreakerOptions, type BreakerOptions } from '../core/breaker';
import { StagingRegistry } from '../storage/staging-registry';
import { watchBreakers } from './breaker-report';
import { createFirstRuns } from './first-runs';
import { placeOf } from './janitor';
import { Sweeper } from './sweeper';
import type { WorkerLog } from './worker-log';

/** Activities at a time; the tutorial's semaphore had the same number. Waiting for a retry takes none of them. */
export const DEFAULT_CONCURRENCY = 10;

const SWEEP_INTERVAL_MS = 3_600_000;

export interface BackupPartsOptions {
  readonly connection: NativeConnection;
  readonly namespace: string;
  /** What backups may read and write; real paths without links. Empty means that everything is refused. */
  readonly roots: AllowedRoots;
  /** Where the worker remembers its staging directories. */
  readonly stateDirectory: string;
  readonly log: WorkerLog;
  /** With which this worker reads what it is told of runs. */
  readonly dataConverter?: DataConverter;
  /** Runs the steps of this type of workflow only. */
  readonly onlyWorkflowType?: string;
  readonly breaker?: Partial<BreakerOptions>;
  /** Threads for file work at most. */
  readonly maxConcurrentSteps?: number;
}

/** What makes a worker one of backups, ours or somebody else's. */
export interface BackupParts {
  readonly activities: Partial<Activities>;
  /** The circuit breaker: the outermost of a worker's activity interceptors. */
  readonly interceptor: ActivityInterceptorsFactory;
  /** Which run id an execution's chain began with, as the server knows it. */
  readonly firstRunIdOf: ReturnType<typeof createFirstRuns>;
  /** Runs the worker: sweeps what terminated runs left at the start and every hour, and ends the threads with it. */
  during(run: () => Promise<void>): Promise<void>;
}

/** Puts together what one worker needs. The connection stays the caller's. */
export async function createBackupParts({ connection, namespace, roots, stateDirectory, log, dataConverter, onlyWorkflowType, breaker, maxConcurrentSteps }: BackupPartsOptions): Promise<BackupParts> {
  const { clusterId } = await connection.workflowService.getClusterInfo({});
  const pool = new ThreadPool(maxConcurrentSteps ?? DEFAULT_CONCURRENCY, roots);
  const registry = new StagingRegistry(stateDirectory);
  const firstRunIdOf = createFirstRuns(connection, namespace);
  const breakers = new DestinationBreakers({ ...defaultBreakerOptions, ...breaker }, watchBreakers(log));
  const sweeper = new Sweeper({ registry, pool, client: new Client({ connection, namespace, ...(dataConverter === undefined ? {} : { dataConverter }) }), owner: { clusterId, namespace }, log });
  const sweepOthers = (destination: string, runId: string) => sweeper.sweep((entry) => placeOf(entry) === destination && entry.location.runId !== runId);
  return {
    activities: createActivities({ roots, pool, registry, clusterId, firstRunIdOf, sweepOthers }, onlyWorkflowType),
    firstRunIdOf,
    interceptor: breakerInterceptor({ breakers, destinationRoots: roots.guarded ?? roots.destinations, probe: (root) => pool.run('probeDestination', { root }) }),
    during: (run) => sweepDuring(run, sweeper, pool),
  };
}

async function sweepDuring(run: () => Promise<void>, sweeper: Sweeper, pool: ThreadPool): Promise<void> {
  void sweeper.sweep();
  const timer = setInterval(() => void sweeper.sweep(), SWEEP_INTERVAL_MS);
  try {
    await run();
  } finally {
    clearInterval(timer);
    await sweeper.idle;
    await pool.close();
  }
}
