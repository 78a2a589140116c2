import { readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { codeOf } from './errors';
import { readIfPresent } from './files';
import { identifyProcess, type ProcessIdentity } from './process-identity';

/** Set in the environment of every server that is started here, so that one without a record is recognised. */
export const OWNER_VARIABLE = 'FILE_BACKUP_SERVER_OF';

/** A process that has the database open. */
export interface DatabaseOwner extends ProcessIdentity {
  /** Whether it is an embedded server of this very state directory. */
  readonly isOurs: boolean;
}

/**
 * Who has the database open, by the file locks SQLite holds; Linux only. A second server would open it without
 * complaint, and two servers that write one database lose each other's work.
 */
export function findDatabaseOwner(database: string, stateDirectory: string): DatabaseOwner | undefined {
  const inodes = new Set(['', '-shm'].flatMap((suffix) => inodeOf(database + suffix)));
  const locks = inodes.size > 0 ? (readIfPresent('/proc/locks') ?? '') : '';
  for (const line of locks.split('\n')) {
    const [, pid, inode] = /\s(\d+) [0-9a-f]+:[0-9a-f]+:(\d+) /.exec(line) ?? [];
    if (!inode || !inodes.has(inode) || !hasOpen(Number(pid), database)) continue;
    const identity = identifyProcess(Number(pid));
    if (identity) return { ...identity, isOurs: environmentOf(identity.pid).includes(`${OWNER_VARIABLE}=${stateDirectory}`) };
  }
  return undefined;
}

function inodeOf(path: string): string[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? [String(stat.ino)] : [];
}

/** Inode numbers are unique within a file system only: the open files decide, where they may be read. */
function hasOpen(pid: number, database: string): boolean {
  const path = realpathSync(database);
  try {
    return readdirSync(`/proc/${pid}/fd`).some((descriptor) => linkTarget(`/proc/${pid}/fd/${descriptor}`)?.startsWith(path));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    if (codeOf(error) === 'EACCES') return true;
    throw error;
  }
}

function linkTarget(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch (error) {
    // The process closed this file meanwhile.
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function environmentOf(pid: number): string[] {
  try {
    return readIfPresent(`/proc/${pid}/environ`)?.split('\0') ?? [];
  } catch (error) {
    // Another user's process does not show its environment, so it is none of ours; ESRCH: it has just ended.
    if (codeOf(error) === 'EACCES' || codeOf(error) === 'ESRCH') return [];
    throw error;
  }
}
