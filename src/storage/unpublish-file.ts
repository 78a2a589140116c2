import * as fs from 'node:fs';
import type { TransferControl } from './control';
import { dirname, join } from 'node:path';
import { inParent, type OpenDirectory } from './directory';
import { blaming, isErrno, StorageError } from './errors';
import { isSameInode, lstatIfPresent } from './file-stat';
import { isOurs } from './ours';
import type { PreparedStaging } from './prepare-staging';
import { removeEmptyParents } from './parents';
import { entryNames, removeStaging, requireDestination, revoke, revokedEntry, unlinkIfPresent, type StagingLocation } from './staging';
import { revokedName } from '../core/names';
import type { ExpectedContent } from './verify-file';

/** `untouched`: nothing was published. `foreign`: the target is somebody else's by now and stays. */
export type Unpublished = 'restored' | 'removed' | 'untouched' | 'foreign';

/**
 * Undo of `publishFile`. Revokes first, so that no late attempt can publish behind its back; then goes by what
 * `prepareStaging` saw, and touches the target only while it is the file that this operation published.
 * @throws StorageError `DestinationGone`, errno names
 */
export function unpublishFile(location: StagingLocation, prepared: PreparedStaging, expected: ExpectedContent, control: TransferControl): Unpublished {
  return inRevoked(location, 'untouched', (parent, name) => {
    const target = parent.entry(name);
    const outcome = prepared.previous === null ? takeBack(parent, target, location, expected, control) : restore(parent, target, location, expected, control);
    parent.sync();
    return outcome;
  });
}

/**
 * Undo of `prepareStaging` and of whatever was staged: revokes, empties and removes the staging directory, and the
 * parents that it created if nothing else is in them. A previous target that could not be put back is never deleted.
 * @throws StorageError `RollbackFailed` naming where the previous target lies, `DestinationGone`, errno names
 */
export function discardStaging(location: StagingLocation, createdDirectories: readonly string[]): void {
  inRevoked(location, undefined, (parent, name) => {
    refuseToLose(parent, parent.entry(name), location);
    removeStaging(parent.entry(revokedName(location.runId)));
    parent.sync();
  });
  removeEmptyParents(location.root, createdDirectories);
}

/** The commit: the kept previous target and all else in staging go. Renamed away first, like undo. */
export function finalizeFile(location: StagingLocation): void {
  inRevoked(location, undefined, (parent) => {
    removeStaging(parent.entry(revokedName(location.runId)));
    parent.sync();
  });
}

/** Revokes and runs the calls, or answers `done` when there is nothing left to do. */
function inRevoked<T>(location: StagingLocation, done: T, calls: (parent: OpenDirectory, name: string) => T): T {
  try {
    return inParent(location.root, location.targetPath, 'destination', (parent, name) =>
      blaming('destination', location.targetPath, () => (revoke(parent, location) ? calls(parent, name) : done)),
    );
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    // The parent is gone: an earlier attempt removed it, unless the whole disk is away.
    requireDestination(location.destination);
    return done;
  }
}

function restore(parent: OpenDirectory, target: string, location: StagingLocation, expected: ExpectedContent, control: TransferControl): Unpublished {
  const kept = revokedEntry(parent, location, entryNames.previous);
  const keptStats = lstatIfPresent(kept);
  if (keptStats === undefined) return 'untouched';
  const targetStats = lstatIfPresent(target);
  if (targetStats === undefined) return putBack(kept, target) ? 'restored' : 'foreign';
  if (isSameInode(targetStats, keptStats)) return drop(kept, 'untouched');
  if (!isOurs(target, revokedEntry(parent, location, entryNames.published), expected, control)) return drop(kept, 'foreign');
  fs.renameSync(kept, target);
  return 'restored';
}

function takeBack(parent: OpenDirectory, target: string, location: StagingLocation, expected: ExpectedContent, control: TransferControl): Unpublished {
  const published = revokedEntry(parent, location, entryNames.published);
  const taken = revokedEntry(parent, location, entryNames.unpublished);
  // Never unlinked by its path: moved to where only we look, and looked at there.
  if (lstatIfPresent(taken) === undefined) {
    if (!isOurs(target, published, expected, control)) return lstatIfPresent(target) === undefined ? 'untouched' : 'foreign';
    fs.renameSync(target, taken);
  }
  if (isOurs(taken, published, expected, control)) return drop(taken, 'removed');
  putBack(taken, target);
  return 'foreign';
}

/** Gives a file its name again unless somebody took it meanwhile; then it stays where it is, and is never deleted. */
function putBack(kept: string, target: string): boolean {
  try {
    fs.linkSync(kept, target);
    unlinkIfPresent(kept);
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    if (!isErrno(error, 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK', 'EINVAL')) throw error;
    // Without hard links there is no exclusive way; the name was free a moment ago.
    fs.renameSync(kept, target);
    return true;
  }
}

function drop<T>(path: string, outcome: T): T {
  unlinkIfPresent(path);
  return outcome;
}

function refuseToLose(parent: OpenDirectory, target: string, location: StagingLocation): void {
  const published = lstatIfPresent(revokedEntry(parent, location, entryNames.published));
  refuseUnless(parent, location, entryNames.previous, lstatIfPresent(target));
  refuseUnless(parent, location, entryNames.unpublished, published);
}

/** An entry may go only when it is the same inode as another name of it, so that nothing is lost with it. */
function refuseUnless(parent: OpenDirectory, location: StagingLocation, entry: string, other: fs.BigIntStats | undefined): void {
  const stats = lstatIfPresent(revokedEntry(parent, location, entry));
  if (stats === undefined || (other !== undefined && isSameInode(other, stats))) return;
  const where = join(dirname(location.targetPath), revokedName(location.runId), entry);
  throw new StorageError('RollbackFailed', 'destination', location.targetPath, `${location.targetPath} could not be put back as it was; its content is kept as ${where}`, { found: where });
}
