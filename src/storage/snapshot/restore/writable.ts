import * as fs from 'node:fs';
import type { OpenDirectory } from '../../directory';
import { errnoName, StorageError } from '../../errors';
import { pathText, type PathBytes } from '../../path-bytes';
import type { Found } from './decide';

const STICKY = 0o1000n;

/**
 * Asked before anything is copied, and by the preview likewise: may entries be made in a directory?
 * @throws StorageError `DestinationNotTrusted`, `EACCES`, `EROFS`
 */
export function requireWritable(directory: OpenDirectory): void {
  directory.requireTrust();
  const refusal = refusalOf(directory.handle, fs.constants.W_OK | fs.constants.X_OK, pathText(directory.path));
  if (refusal !== undefined) throw refusal;
}

function refusalOf(entry: PathBytes, mode: number, path: string): StorageError | undefined {
  try {
    fs.accessSync(entry, mode);
    return undefined;
  } catch (error) {
    const code = errnoName(error);
    if (code === undefined) throw error;
    return new StorageError(code, 'destination', path, code === 'EROFS' ? `${path} is on a file system that is mounted read-only` : `${path} may not be written to: ${code}`, {}, { cause: error });
  }
}

/** Likewise of what lies in it. @throws StorageError `EPERM` in a sticky directory */
export function requireReplaceable(directory: OpenDirectory, found: fs.BigIntStats): void {
  if (isMine(found)) return;
  const stats = directory.stat();
  if ((stats.mode & STICKY) === 0n || isMine(stats)) return;
  const path = pathText(directory.path);
  throw new StorageError('EPERM', 'destination', path, `What lies in ${path} belongs to user ${found.uid}, and only its owner may replace it there`);
}

/**
 * Likewise of the times and the mode of a directory that is there.
 * @throws StorageError `EPERM` for somebody else's, since only its owner can set them, `EROFS`
 */
export function requireSettable({ stats, entry }: Found, path: string): void {
  const refusal = refusalOf(entry, fs.constants.W_OK, path);
  // Its owner may lack the right to write to it.
  if (refusal?.code === 'EROFS') throw refusal;
  if (isMine(stats)) return;
  throw new StorageError('EPERM', 'destination', path, `${path} belongs to user ${stats.uid}, and only its owner may set its times and mode`);
}

/** Root may do what the owner may. */
export function isMine({ uid }: fs.BigIntStats): boolean {
  const user = process.geteuid?.();
  return user === undefined || user === 0 || Number(uid) === user;
}
