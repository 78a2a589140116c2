import { dirname, join } from 'node:path';
import type { BackupClient } from '../client/backup-client';
import { formatBytes, formatDuration } from '../core/format';
import { stagingName } from '../core/names';
import type { LogLevel } from '../log-levels';
import { runPath } from '../storage/batch/run-directory';
import { TransferControl } from '../storage/control';
import { measureIfThere } from '../storage/measure';
import { isRun, StagingRegistry, type Registered } from '../storage/staging-registry';
import type { ServerSession } from './server-session';

/** What a run has left that its server does not know any more, since somebody has deleted it there. */
export interface LostRun {
  readonly runId: string;
  readonly workflowId: string;
  /** Directory that holds what is left. */
  readonly path: string;
  /** Of files that have no other name. */
  readonly sizeBytes: number;
  /** When anything in it was last changed. */
  readonly changedAt: string;
}

/** Those that workers with this state directory have begun. Nobody but the user can tell what is to become of them. */
export async function lostRuns(client: BackupClient, server: ServerSession): Promise<LostRun[]> {
  return (await lostEntries(client, server)).map(describe);
}

/**
 * Removes what such a run has left, as of one that was terminated: targets that it has published stay, unless it was to be
 * all or nothing.
 * @param id its run id or workflow id, or the beginning of one
 * @returns undefined when there is none of that id
 */
export async function removeLostRun(client: BackupClient, server: ServerSession, id: string, logLevel: LogLevel): Promise<LostRun | undefined> {
  const found = (await lostEntries(client, server)).filter(({ owner }) => [owner.runId, owner.workflowId].some((each) => each.startsWith(id)));
  const [entry] = found;
  if (entry === undefined || found.length > 1) return undefined;
  const lost = describe(entry);
  const [{ sweep }, { ThreadPool }, { createLogger }] = await Promise.all([import('../worker/janitor.js'), import('../activities/index.js'), import('../log.js')]);
  const pool = new ThreadPool(1);
  try {
    await sweep(entry, 'TERMINATED', { registry: new StagingRegistry(server.stateDirectory), pool, log: createLogger(logLevel) });
  } finally {
    await pool.close();
  }
  return lost;
}

export function lostRunLine({ runId, path, sizeBytes, changedAt }: LostRun, nowMs: number): string {
  return `left: ${path}: of run ${runId}, which this server does not know, ${formatBytes(sizeBytes)}, unchanged for ${formatDuration(Math.max(0, nowMs - Date.parse(changedAt)))}; file-backup cancel ${runId} removes it`;
}

/** Only what the server at hand has known: another one may know its own runs still. */
async function lostEntries(client: BackupClient, { stateDirectory, namespace }: ServerSession): Promise<Registered[]> {
  const entries = new StagingRegistry(stateDirectory).list(() => undefined);
  if (entries.length === 0) return [];
  const clusterId = await client.others.clusterId();
  const own = entries.filter(({ owner }) => owner.clusterId === clusterId && owner.namespace === namespace);
  const states = await Promise.all(own.map(({ owner }) => client.others.statusOf(owner)));
  return own.filter((_entry, index) => states[index] === undefined);
}

function describe(entry: Registered): LostRun {
  const path = isRun(entry) ? runPath(entry.location) : join(dirname(entry.location.targetPath), stagingName(entry.location.runId));
  const { sizeBytes, changedMs } = measureIfThere(entry.location.root, path, new TransferControl()) ?? { sizeBytes: 0, changedMs: 0 };
  return { runId: entry.owner.runId, workflowId: entry.owner.workflowId, path, sizeBytes, changedAt: new Date(changedMs).toISOString() };
}
