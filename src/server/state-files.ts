import { chmodSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isClosed, isOwned, rightsText } from '../core/directory-trust';
import { NoTemporalServerError, reasonOf } from './errors';
import { self, whyNotTrusted } from './trusted-path';

/** Where one user's embedded server keeps what it needs. */
export interface StateFiles {
  readonly directory: string;
  readonly lock: string;
  readonly record: string;
  readonly users: string;
  readonly database: string;
  readonly log: string;
}

const OWNER_ONLY = 0o700;
const NOT_OWNER = 0o077;

/**
 * Creates the state directory for its owner alone and names the files in it.
 * @throws NoTemporalServerError when it cannot be used, or somebody else could exchange what is in it
 */
export function prepareStateFiles(stateDirectory: string): StateFiles {
  const directory = resolve(stateDirectory);
  const files: StateFiles = {
    directory,
    lock: join(directory, 'server.lock'),
    record: join(directory, 'server.json'),
    users: join(directory, 'users'),
    database: join(directory, 'temporal.db'),
    log: join(directory, 'server.log'),
  };
  try {
    requireTrustedState(directory);
    mkdirSync(files.users, { recursive: true, mode: OWNER_ONLY });
    // A directory that was there before keeps its mode, and the database in it holds paths and histories.
    requireTrustedState(directory);
    if ((statSync(directory).mode & 0o777) !== OWNER_ONLY) chmodSync(directory, OWNER_ONLY);
    for (const path of [files.users, files.record, files.log, `${files.log}.old`, ...['', '-wal', '-shm'].map((suffix) => files.database + suffix)]) closeToOthers(path);
  } catch (error) {
    throw error instanceof NoTemporalServerError ? error : unusable(directory, error);
  }
  return files;
}

/**
 * Where others can write, they may have put something there: that is not put right by another mode.
 * @param stateDirectory absolute; of one that is not there yet, the way to it is judged
 * @throws NoTemporalServerError when somebody else could exchange what is in it
 */
export function requireTrustedState(stateDirectory: string): void {
  const distrust = whyNotTrusted(stateDirectory);
  if (distrust !== undefined) throw distrusted(stateDirectory, distrust);
  const stats = statSync(stateDirectory, { throwIfNoEntry: false });
  // A sticky directory keeps entries from being exchanged, and not from being put there first.
  if (stats !== undefined && !isClosed(stats, self())) throw distrusted(stateDirectory, `${stateDirectory} has owner and mode ${rightsText(stats)}: others may write to it`);
}

/** Servers of earlier versions made their database by the umask. */
function closeToOthers(path: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined || stats.isSymbolicLink()) return;
  if (!isOwned(stats, self())) throw distrusted(path, `${path} has owner and mode ${rightsText(stats)}: it belongs to another user`);
  if (stats.uid === self().uid && (stats.mode & NOT_OWNER) !== 0) chmodSync(path, stats.mode & ~NOT_OWNER & 0o777);
}

function distrusted(path: string, why: string): NoTemporalServerError {
  return new NoTemporalServerError(
    `The state directory is not used, since somebody else could exchange what is in it: ${why}. ` +
      `Look into it, then take ${path} over with chown and chmod go-w, or choose another with FILE_BACKUP_STATE_DIR.`,
  );
}

/** Says which directory cannot be used and how to choose another. */
export function unusable(directory: string, error: unknown): NoTemporalServerError {
  return new NoTemporalServerError(
    `The state directory ${directory} cannot be used: ${reasonOf(error)}. ` +
      'Make it writable, or choose another with FILE_BACKUP_STATE_DIR.',
    { cause: error },
  );
}
