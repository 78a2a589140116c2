import * as fs from 'node:fs';
import { OWN_DIRECTORY } from '../core/names';
import type { OpenDirectory } from './directory';
import { isErrno } from './errors';
import { joinPath } from './path-bytes';

/**
 * Makes a directory that is this program's own, or finds the one that an earlier attempt has made, and opens it.
 * @throws StorageError `DestinationNotTrusted` when somebody else has made it, `TargetNotCanonical` for a link, errno names
 */
export function makeOwn(parent: OpenDirectory, name: string): OpenDirectory {
  makeClosed(parent, name);
  return parent.child(name).own();
}

/**
 * Makes a directory that runs share, 0700, or finds it, and opens it. One that was there must be as trusted as any.
 * @throws StorageError `DestinationNotTrusted`, `TargetNotCanonical` for a link, errno names
 */
export function makeTrusted(parent: OpenDirectory, name: string): OpenDirectory {
  makeClosed(parent, name);
  // Also where it was there: whoever made it may have died before that.
  parent.sync();
  return parent.lookBelow(joinPath(parent.path, name)).trusted();
}

/** Where this program keeps everything of its own in a destination: closed to others, whatever the umask was when it was made. */
export function makeOwnDirectory(parent: OpenDirectory): OpenDirectory {
  return makeTrusted(parent, OWN_DIRECTORY).after((descriptor) => {
    const { uid, mode } = fs.fstatSync(descriptor);
    if ((mode & 0o077) !== 0 && uid === process.geteuid?.()) fs.fchmodSync(descriptor, 0o700);
  });
}

function makeClosed(parent: OpenDirectory, name: string): void {
  try {
    fs.mkdirSync(parent.entry(name), { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
}
