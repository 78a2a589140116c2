import { resolve } from 'node:path';
import { Runtime, type WorkerOptions, type WorkerPlugin } from '@temporalio/worker';
import { proofInterceptor } from './activities';
import type { BreakerOptions } from './core/breaker';
import { signingConverter } from './keys/data-converter';
import type { PayloadKeys } from './keys/payload-keys';
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
  /**
   * Keys that backups have to be asked for with. The worker gets a data converter that signs then: its own workflows and
   * activities too are reached only by clients with `signingConverter({ keys })`. Without keys, whoever reaches the
   * server can have this worker do what its roots allow, and can fake its answers.
   */
  readonly payloadKeys?: PayloadKeys;
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
      if (options.payloadKeys !== undefined) requireRoomForKeys(host);
      parts = await partsFor(host, options);
      return withKeys(joined(host, parts), parts, options.payloadKeys);
    },
    runWorker: (worker, next) => (parts === undefined ? next(worker) : parts.during(() => next(worker))),
  };
}

function partsFor({ connection, namespace = 'default', taskQueue }: WorkerOptions, options: BackupPluginOptions): Promise<BackupParts> {
  if (connection === undefined) throw new Error('The backup plugin needs the worker\'s connection: pass one to Worker.create.');
  const { sourceRoots, destinationRoots, trustDestinations, stateDirectory, breaker, maxConcurrentSteps, payloadKeys } = options;
  const log = hostLog();
  if (payloadKeys === undefined) log.warn({ taskQueue }, 'The backup plugin of this worker has no key: whoever reaches the Temporal server can have it read and write below its roots, and can fake its answers');
  const roots = resolveRoots(sourceRoots, destinationRoots, { trustDestinations });
  return createBackupParts({ connection, namespace, roots, stateDirectory: resolve(stateDirectory), breaker, maxConcurrentSteps, log, ...(payloadKeys === undefined ? {} : { dataConverter: signingConverter({ keys: payloadKeys }) }) });
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

/** @throws Error where keys would meet what the host has chosen for itself */
function requireRoomForKeys({ dataConverter, workflowBundle }: WorkerOptions): void {
  if (dataConverter !== undefined) throw new Error('The backup plugin has keys and sets a data converter, but the worker has one of its own: leave one of them out, or give backups a worker of their own (createBackupWorker).');
  if (workflowBundle !== undefined) throw new Error('The backup plugin has keys, which have a part in the workflow bundle: pass workflowsPath instead of workflowBundle, or give backups a worker of their own (createBackupWorker).');
}

/** Outermost of all: the host's interceptors and ours see plain values. */
function withKeys(options: WorkerOptions, parts: BackupParts, payloadKeys: PayloadKeys | undefined): WorkerOptions {
  if (payloadKeys === undefined) return options;
  const { interceptors } = options;
  return {
    ...options,
    dataConverter: signingConverter({ keys: payloadKeys }),
    interceptors: {
      ...interceptors,
      activity: [proofInterceptor(parts, (name) => name in parts.activities), ...(interceptors?.activity ?? [])],
      workflowModules: [require.resolve('./workflows/proof-host'), ...(interceptors?.workflowModules ?? [])],
    },
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
