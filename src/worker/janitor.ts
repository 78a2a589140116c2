import { Client, WorkflowNotFoundError, type WorkflowExecutionStatusName } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import type { WorkerLog } from './worker-log';
import type { ThreadPool } from '../activities';
import type { StagingOwner } from '../storage/prepare-staging';
import type { RegisteredStaging, StagingRegistry } from '../storage/staging-registry';

interface Janitor {
  readonly registry: StagingRegistry;
  readonly pool: ThreadPool;
  readonly connection: NativeConnection;
  /** The cluster and namespace that this worker serves: nobody else's runs are judged. */
  readonly owner: Pick<StagingOwner, 'clusterId' | 'namespace'>;
  readonly log: WorkerLog;
}

/** Anything else, a paused run or a status of a newer server included, may still go on. */
const closed: readonly WorkflowExecutionStatusName[] = ['COMPLETED', 'FAILED', 'CANCELLED', 'TERMINATED', 'TIMED_OUT'];

/**
 * Removes what runs left that ended without undo: terminated ones, and those whose commit got stuck. Only what this
 * cluster says is closed; what it does not know is reported and stays. Never throws: each trouble is a log line.
 */
export async function sweepStaging(janitor: Janitor): Promise<void> {
  for (const entry of registered(janitor)) {
    const { location, owner } = entry;
    const fields = { stagingOf: location.targetPath, ...owner };
    try {
      const status = await statusOf(owner, janitor);
      if (status === undefined) janitor.log.warn(fields, 'Staging directory of a run that this server does not know stays');
      else if (closed.includes(status)) await sweep(entry, status, janitor);
    } catch (error) {
      janitor.log.warn({ ...fields, error: String(error) }, 'Staging directory could not be swept');
    }
  }
}

function registered({ registry, owner, log }: Janitor): RegisteredStaging[] {
  try {
    return registry.list().filter((entry) => entry.owner.clusterId === owner.clusterId && entry.owner.namespace === owner.namespace);
  } catch (error) {
    log.warn({ error: String(error) }, 'The registry of staging directories could not be read');
    return [];
  }
}

async function statusOf({ workflowId, runId }: StagingOwner, { connection, owner }: Janitor): Promise<WorkflowExecutionStatusName | undefined> {
  try {
    const client = new Client({ connection, namespace: owner.namespace });
    return (await client.workflow.getHandle(workflowId, runId).describe()).status.name;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** A completed run is committed, so its kept previous target goes too; after any other end it is kept if in doubt. */
async function sweep({ location, createdDirectories }: RegisteredStaging, status: WorkflowExecutionStatusName, { registry, pool, log }: Janitor): Promise<void> {
  if (status === 'COMPLETED') await pool.run('finalizeFile', { location });
  else await pool.run('discardStaging', { location, createdDirectories });
  registry.remove(location.runId);
  log.info({ stagingOf: location.targetPath, runId: location.runId, status }, 'Staging directory of a closed run removed');
}
