import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

const FOLDER = 'file-backup';

/** Where the embedded server's database and its ownership record live: FILE_BACKUP_STATE_DIR, else the XDG state folder. */
export function stateDirectory(env: Environment = process.env): string {
  return directory(env, env.FILE_BACKUP_STATE_DIR, env.XDG_STATE_HOME, ['.local', 'state']);
}

/** Where commands put lists of files for workers that share the state directory. */
export function listDirectory(state: string): string {
  return join(state, 'lists');
}

/** Where downloaded programs are kept: FILE_BACKUP_CACHE_DIR, else the XDG cache folder. Safe to delete at any time. */
export function cacheDirectory(env: Environment = process.env): string {
  return directory(env, env.FILE_BACKUP_CACHE_DIR, env.XDG_CACHE_HOME, ['.cache']);
}

function directory(env: Environment, own: string | undefined, base: string | undefined, underHome: string[]): string {
  if (own) return resolve(own);
  // The XDG specification has relative values ignored.
  if (base && isAbsolute(base)) return join(base, FOLDER);
  return join(env.HOME || homedir(), ...underHome, FOLDER);
}
