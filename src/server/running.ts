import { NoTemporalServerError, reasonOf } from './errors';
import { isAlive } from './process-identity';
import { readRecord, type ServerRecord } from './record';
import { untilAnswer, untilReady, type ReadyServer } from './ready';
import type { StateFiles } from './state-files';
import { kill } from './stop';
import { liveUsers } from './users';
import { findDatabaseOwner } from './database-owner';

/** A server that was running before; `ready` is set when its start was completed only now. */
export interface FoundServer {
  readonly record: ServerRecord;
  readonly ready?: ReadyServer;
}

/**
 * The server that the record names, if it is really that one: the same process, answering, with the same cluster id.
 * A server that merely listens on a recorded port is never adopted. Only the holder of the lock may call this.
 */
export async function findRunningServer(files: StateFiles, searchAttributes: readonly string[], log: (message: string) => void): Promise<FoundServer | undefined> {
  const record = readRecord(files.record);
  if (record === 'unreadable') log(`The record ${files.record} is unreadable and is replaced.`);
  if (record === undefined || record === 'unreadable' || !isAlive(record.process)) return undefined;
  switch (record.state) {
    case 'running':
      return adopt(record, files, log);
    case 'starting':
      return complete(record, searchAttributes, log);
    case 'stopping':
      // Its last user has left and it only lets requests drain, which there are none of.
      await kill(record.process);
      return undefined;
  }
}

/**
 * Makes sure that no other process writes the database before a server is started on it.
 * A server of ours whose record was lost is stopped, unless commands still use it.
 * @throws NoTemporalServerError when the database is in use
 */
export async function freeDatabase(files: StateFiles, log: (message: string) => void): Promise<void> {
  const owner = findDatabaseOwner(files.database, files.directory);
  if (!owner) return;
  const users = liveUsers(files.users);
  if (!owner.isOurs || users.length > 0) {
    const first = users.length > 0 ? `wait for process ${users.join(', ')} to end, then ` : '';
    throw new NoTemporalServerError(
      `The database ${files.database} is in use by process ${owner.pid}, and two servers would damage it. ` +
        `To go on, ${first}stop that process (kill ${owner.pid}), or choose another state directory with FILE_BACKUP_STATE_DIR.`,
    );
  }
  log(`Stopping the Temporal server of process ${owner.pid}, whose record was lost.`);
  await kill(owner);
}

async function adopt(record: ServerRecord, files: StateFiles, log: (message: string) => void): Promise<FoundServer | undefined> {
  let clusterId: string;
  try {
    clusterId = await untilAnswer(record);
  } catch (error) {
    if (!isAlive(record.process)) return undefined;
    return replaceSilent(record, files, reasonOf(error), log);
  }
  if (clusterId === record.clusterId) return { record };
  log(`The server on ${record.address} is not the one on record; it is left alone.`);
  return undefined;
}

async function replaceSilent(record: ServerRecord, files: StateFiles, reason: string, log: (message: string) => void): Promise<undefined> {
  const { pid } = record.process;
  if (liveUsers(files.users).length > 0) {
    throw new NoTemporalServerError(
      `The Temporal server that this user's commands share does not answer on ${record.address}: ${reason}. ` +
        `Wait for the other commands, or stop it (kill ${pid}), and run the command again.`,
    );
  }
  log(`The Temporal server of process ${pid} does not answer and is replaced.`);
  await kill(record.process);
}

/** The command that started this server was killed before it was ready. */
async function complete(record: ServerRecord, searchAttributes: readonly string[], log: (message: string) => void): Promise<FoundServer | undefined> {
  try {
    const ready = await untilReady(record, searchAttributes);
    return { record: { ...record, state: 'running', clusterId: ready.clusterId }, ready };
  } catch (error) {
    log(`The start of a Temporal server was interrupted: ${reasonOf(error)}. Starting another.`);
    await kill(record.process);
    return undefined;
  }
}
