import { resolve } from 'node:path';
import { Runtime, type WorkerOptions, type WorkerPlugin } from '@temporalio/worker';
import type { BreakerOptions } from './core/breaker';
import { createBackupParts, type BackupParts } from './worker/backup-parts';
import { resolveRoots } from './worker/roots';
import type { WorkerLog } from './worker/worker-log';

export interface BackupPluginOptions {
  /** Directories that backups may read below. */
  readonly sourceRoots: readonly string[];
  /** Directories that backups may write below. */
  readonly destinationRoots: readonly string[];
  /** Accepts destinations in which users besides the worker's own and root can replace what is written; they are refused otherwise. */
  readonly trustDestinations?: boolean;
  /** Where the worker remembers its staging directories; it must outlive the worker. */
  readonly stateDirectory: string;
  readonly breaker?: Partial<BreakerOptions>;
  /** Threads for file work at most. */
  readonly maxConcurrentSteps?: number;
}

/**
 * Makes a host's own worker one of backups too: activities, circuit breaker, and the janitor while it runs. Workflows
 * cannot come by a plugin: re-export those of `temporal-file-backup/workflows` from the host's workflow file.
 * One plugin serves one worker.
 */
export function createBackupPlugin(options: BackupPluginOptions): WorkerPlugin & { readonly name: string } {
  let parts: BackupParts | undefined;
  return {
    name: 'temporal-file-backup',
    async configureWorker(host) {
      if (parts !== undefined) throw new Error('A backup plugin serves one worker; create one for each.');
      parts = await partsFor(host, options);
      return joined(host, parts);
    },
    runWorker: (worker, next) => (parts === undefined ? next(worker) : parts.during(() => next(worker))),
  };
}

function partsFor({ connection, namespace = 'default' }: WorkerOptions, options: BackupPluginOptions): Promise<BackupParts> {
  if (connection === undefined) throw new Error('The backup plugin needs the worker\'s connection: pass one to Worker.create.');
  const { sourceRoots, destinationRoots, trustDestinations, stateDirectory, breaker, maxConcurrentSteps } = options;
  const roots = resolveRoots(sourceRoots, destinationRoots, { trustDestinations });
  return createBackupParts({ connection, namespace, roots, stateDirectory: resolve(stateDirectory), breaker, maxConcurrentSteps, log: hostLog() });
}

/** The host's options with ours; what the host has keeps its place. */
function joined(host: WorkerOptions, { activities, interceptor }: BackupParts): WorkerOptions {
  const taken = Object.keys(activities).filter((name) => name in (host.activities ?? {}));
  if (taken.length > 0) throw new Error(`The worker has activities of the backup plugin's names already: ${taken.join(', ')}`);
  return {
    ...host,
    activities: { ...host.activities, ...activities },
    interceptors: { ...host.interceptors, activity: [interceptor, ...(host.interceptors?.activity ?? [])] },
  };
}

/** Says what it has to say where the host's Temporal logs go. */
function hostLog(): WorkerLog {
  const { logger } = Runtime.instance();
  return {
    info: (fields, message) => void logger.info(message, { ...fields }),
    warn: (fields, message) => void logger.warn(message, { ...fields }),
  };
}
