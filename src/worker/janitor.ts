import type { Client, WorkflowExecutionStatusName } from '@temporalio/client';
import { closed, statusOfChain } from '../client/chain-status';
import { messageOf } from '../core/error-message';
import { isRun, type Registered, type RegisteredStaging, type StagingRegistry } from '../storage/staging-registry';
import type { StagingOwner } from '../storage/prepare-staging';
import { sweepRun } from './sweep-run';
import type { WorkerLog } from './worker-log';
import type { ThreadPool } from '../activities';

export interface Janitor {
  readonly registry: StagingRegistry;
  readonly pool: ThreadPool;
  readonly client: Client;
  /** The cluster and namespace that this worker serves: nobody else's runs are judged. */
  readonly owner: Pick<StagingOwner, 'clusterId' | 'namespace'>;
  readonly log: WorkerLog;
}

/**
 * Removes what runs left that ended without undo: terminated ones, and those whose commit got stuck. Only what this
 * cluster says is closed; what it does not know is reported and stays. Never throws: each trouble is a log line.
 */
export async function sweepStaging(janitor: Janitor, isWanted: (entry: Registered) => boolean = () => true): Promise<void> {
  for (const entry of registered(janitor).filter(isWanted)) {
    const { owner } = entry;
    const fields = { stagingOf: placeOf(entry), ...owner };
    try {
      const status = await statusOfChain(owner, janitor.client);
      if (status === undefined) janitor.log.warn(fields, 'Staging directory of a run that this server does not know stays');
      else if (closed.includes(status)) await sweep(entry, status, janitor);
    } catch (error) {
      janitor.log.warn({ ...fields, error: messageOf(error) }, 'Staging directory could not be swept');
    }
  }
}

function registered({ registry, owner, log }: Janitor): Registered[] {
  try {
    return registry.list((finding) => log.warn({ error: finding.message }, 'An entry of the registry of staging directories could not be read')).filter((entry) => entry.owner.clusterId === owner.clusterId && entry.owner.namespace === owner.namespace);
  } catch (error) {
    log.warn({ error: messageOf(error) }, 'The registry of staging directories could not be read');
    return [];
  }
}

export function placeOf(entry: Registered): string {
  return isRun(entry) ? entry.location.destination : entry.location.targetPath;
}

/** Removes what a run has left that ended in this way. Repeated, it finds its work done. @throws StepFailed */
export async function sweep(entry: Registered, status: WorkflowExecutionStatusName, { registry, pool, log }: Pick<Janitor, 'registry' | 'pool' | 'log'>): Promise<void> {
  if (isRun(entry)) await sweepRun(entry, status, pool);
  else await sweepFile(entry, status, pool);
  const { runId } = entry.location;
  registry.remove(runId);
  log.info({ stagingOf: placeOf(entry), runId, status }, 'Staging directory of a closed run removed');
}

/** A completed run is committed, so its kept previous target goes too; after any other end it is kept if in doubt. */
async function sweepFile({ location, owner, createdDirectories }: RegisteredStaging, status: WorkflowExecutionStatusName, pool: ThreadPool): Promise<void> {
  if (status === 'COMPLETED') await pool.run('finalizeFile', { location, owner });
  else await pool.run('discardStaging', { location, owner, createdDirectories });
}
