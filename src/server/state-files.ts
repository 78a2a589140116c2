import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { NoTemporalServerError, reasonOf } from './errors';

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

/** Creates the state directory for its owner alone and names the files in it. */
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
    mkdirSync(files.users, { recursive: true, mode: OWNER_ONLY });
    // A directory that was there before keeps its mode, and the database in it holds paths and histories.
    if ((statSync(directory).mode & 0o777) !== OWNER_ONLY) chmodSync(directory, OWNER_ONLY);
  } catch (error) {
    throw unusable(directory, error);
  }
  return files;
}

/** Says which directory cannot be used and how to choose another. */
export function unusable(directory: string, error: unknown): NoTemporalServerError {
  return new NoTemporalServerError(
    `The state directory ${directory} cannot be used: ${reasonOf(error)}. ` +
      'Make it writable, or choose another with FILE_BACKUP_STATE_DIR.',
    { cause: error },
  );
}
