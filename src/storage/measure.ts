import * as fs from 'node:fs';
import type { TransferControl } from './control';
import { inDirectory, type OpenDirectory } from './directory';
import { isErrno } from './errors';
import { pathOf } from './path-bytes';

/** What lies in a directory. */
export interface Measured {
  /** Of files that have no other name. */
  readonly sizeBytes: number;
  /** When anything in it was last changed, in milliseconds since 1970. */
  readonly changedMs: number;
}

/** Undefined for what is not there. @throws StorageError, errno names */
export function measureIfThere(root: string, path: string, control: TransferControl): Measured | undefined {
  return ifThere(() => inDirectory(root, path, 'source', (directory) => measure(directory, control)));
}

/** @throws StorageError `Cancelled`, errno names */
export function measure(directory: OpenDirectory, control: TransferControl): Measured {
  const total = { sizeBytes: 0, changedMs: 0 };
  add(directory, total, control);
  return total;
}

/** What goes while it is looked at is not there. */
export function ifThere<T>(calls: () => T): T | undefined {
  try {
    return calls();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'SourceNotCanonical')) return undefined;
    throw error;
  }
}

/** The time of change of a file with several names is no sign: other snapshots link it. */
function add(directory: OpenDirectory, total: { sizeBytes: number; changedMs: number }, control: TransferControl): void {
  control.throwIfCancelled();
  total.changedMs = Math.max(total.changedMs, Number(directory.stat().ctimeMs));
  for (const bytes of fs.readdirSync(directory.handle, 'buffer')) {
    const name = pathOf(bytes);
    const stats = fs.lstatSync(directory.entry(name), { throwIfNoEntry: false });
    if (stats?.isDirectory() === true) ifThere(() => addChild(directory, name, total, control));
    else if (stats?.nlink === 1) {
      total.sizeBytes += stats.isFile() ? stats.size : 0;
      total.changedMs = Math.max(total.changedMs, stats.ctimeMs);
    }
    control.finishFile();
  }
}

function addChild(directory: OpenDirectory, name: ReturnType<typeof pathOf>, total: { sizeBytes: number; changedMs: number }, control: TransferControl): void {
  const child = directory.child(name);
  try {
    add(child, total, control);
  } finally {
    child.close();
  }
}
