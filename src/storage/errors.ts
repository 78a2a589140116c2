import { constants } from 'node:os';
import { isNativeError } from 'node:util/types';
import { spaceLeftAround } from './space-left';

/** Which end of the copy failed. */
export type Side = 'source' | 'destination';

/**
 * An error of storage code: `code` is an errno name (`ENOSPC`) or one of storage's own findings
 * (`SourceChanged`, `ChecksumMismatch`, …). What that means for retries is not decided here.
 */
export class StorageError extends Error {
  override readonly name = 'StorageError';

  constructor(
    readonly code: string,
    readonly side: Side,
    readonly path: string,
    message: string,
    readonly found: { readonly expected?: string; readonly found?: string } = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Some numbers have two names; the first one counts: EAGAIN, not EWOULDBLOCK. */
const errnoNames = new Map(Object.entries(constants.errno).reverse().map(([name, number]) => [number, name]));

/**
 * The errno name of a file system error, raw or already blamed on a side; undefined for other errors. Goes by number:
 * Node calls EDQUOT and ESTALE "Unknown system error".
 */
export function errnoName(error: unknown): string | undefined {
  if (error instanceof StorageError) return error.code;
  // Not by instanceof: in a VM context of its own, as test runners use, the file system throws errors of another realm.
  if (!isNativeError(error)) return undefined;
  const { errno, code } = error as NodeJS.ErrnoException;
  return errno === undefined ? undefined : (errnoNames.get(Math.abs(errno)) ?? code);
}

/** True when the error is a file system error of that name. */
export function isErrno(error: unknown, ...names: string[]): boolean {
  const name = errnoName(error);
  return name !== undefined && names.includes(name);
}

/** Without inodes a disk may have space for everything but a name. */
function explained(path: string): string {
  const left = path.startsWith('/') ? spaceLeftAround(path) : '';
  return left === '' ? '' : `; ${left}`;
}

/** Runs file system calls of one side, naming the file that they were about in whatever they throw. */
export function blaming<T>(side: Side, path: string, calls: () => T): T {
  try {
    return calls();
  } catch (error) {
    const code = errnoName(error);
    if (code === undefined || error instanceof StorageError) throw error;
    const { syscall = 'access' } = error as NodeJS.ErrnoException;
    throw new StorageError(code, side, path, `${syscall} of ${side} ${path} failed: ${code}${code === 'ENOSPC' ? explained(path) : ''}`, {}, { cause: error });
  }
}
