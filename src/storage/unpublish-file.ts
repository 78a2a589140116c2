import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { revokedName } from '../core/names';
import type { TransferControl } from './control';
import { inParent, using, type OpenDirectory } from './directory';
import { unlinkIfPresent } from './entries';
import { blaming, isErrno, StorageError } from './errors';
import { fileStat, isSameInode, isWhatWasThere, lstatIfPresent, type FileStat } from './file-stat';
import { isLinkRefused } from './hard-links';
import { isOurs } from './ours';
import { removeEmptyParents } from './parents';
import type { PreparedStaging } from './prepare-staging';
import { entryNames, openStaging, READY, removeStaging, requireDestination, requireEntryName, revoke, type StagingLocation } from './staging';
import type { ExpectedContent } from './verify-file';

/** `untouched`: nothing was published. `foreign`: the target is somebody else's by now and stays. */
export type Unpublished = 'restored' | 'removed' | 'untouched' | 'foreign';

/** A staged file that may have been published. */
export interface Published extends ExpectedContent {
  readonly name: string;
}

/**
 * Undo of `publishFile`. Revokes first, so that no late attempt can publish behind its back; then goes by what
 * `prepareStaging` saw, and touches the target only while it is the file that this operation published.
 * @throws StorageError `DestinationGone`, errno names
 */
export function unpublishFile(location: StagingLocation, prepared: PreparedStaging, expected: Published, control: TransferControl): Unpublished {
  return inRevoked(location, 'untouched', (parent, name, revoked) => {
    const target = parent.entry(name);
    const traces = { hardLinks: prepared.hardLinks, published: revoked.entry(entryNames.published), staged: revoked.entry(requireEntryName(expected.name, location)) };
    const isPublished = (path: string): boolean => isOurs(path, traces, expected, control);
    const outcome =
      prepared.previous === null
        ? takeBack(target, revoked.entry(entryNames.unpublished), isPublished)
        : restore(target, revoked.entry(entryNames.previous), prepared.previous, prepared.hardLinks, isPublished);
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
  inRevoked(location, undefined, (parent, name, revoked) => {
    refuseToLose(revoked, parent.entry(name), location);
    removeStaging(parent, location, revokedName(location.runId));
    parent.sync();
  });
  removeEmptyParents(location.root, createdDirectories);
}

/** The commit: the kept previous target and all else in staging go. Renamed away first, like undo. */
export function finalizeFile(location: StagingLocation): void {
  inRevoked(location, undefined, (parent) => {
    removeStaging(parent, location, revokedName(location.runId));
    parent.sync();
  });
}

type IsPublished = (path: string) => boolean;

/** Revokes and runs the calls, or answers `done` when there is nothing left to do. */
function inRevoked<T>(location: StagingLocation, done: T, calls: (parent: OpenDirectory, name: string, revoked: OpenDirectory) => T): T {
  try {
    return inParent(location.root, location.targetPath, 'destination', (parent, name) =>
      blaming('destination', location.targetPath, () => {
        if (revoke(parent, location)) return using(openStaging(parent, location, revokedName(location.runId)), (revoked) => (disarm(revoked), calls(parent, name, revoked)));
        // Whoever has removed it may have died before that was durable.
        parent.sync();
        return done;
      }),
    );
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    // The parent is gone: an earlier attempt removed it, unless the whole disk is away.
    requireDestination(location.destination);
    return done;
  }
}

/** After this no attempt that comes late can replace the target: what it would rename is gone, and cannot be made again. */
function disarm(revoked: OpenDirectory): void {
  for (const name of fs.readdirSync(revoked.handle).filter((each) => each.startsWith(READY))) unlinkIfPresent(revoked.entry(name));
}

function restore(target: string, kept: string, previous: FileStat, hardLinks: boolean, isPublished: IsPublished): Unpublished {
  const keptStats = lstatIfPresent(kept);
  if (keptStats === undefined) return 'untouched';
  const stats = lstatIfPresent(target);
  if (stats === undefined) return putBack(kept, target) ? 'restored' : 'foreign';
  if (isSameInode(stats, keptStats) || isWhatWasThere(previous, fileStat(stats))) return drop(kept, 'untouched');
  if (isPublished(target)) {
    fs.renameSync(kept, target);
    return 'restored';
  }
  // Without hard links a published file that was damaged since cannot be told from a foreign one: nothing is dropped.
  return hardLinks ? drop(kept, 'foreign') : 'foreign';
}

function takeBack(target: string, taken: string, isPublished: IsPublished): Unpublished {
  // Never unlinked by its path: moved to where only we look, and looked at there.
  if (lstatIfPresent(taken) === undefined) {
    if (!isPublished(target)) return lstatIfPresent(target) === undefined ? 'untouched' : 'foreign';
    fs.renameSync(target, taken);
  }
  if (isPublished(taken)) return drop(taken, 'removed');
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
    if (!isLinkRefused(error)) throw error;
    // Without a further link there is no exclusive way; the name was free a moment ago.
    fs.renameSync(kept, target);
    return true;
  }
}

function drop<T>(path: string, outcome: T): T {
  unlinkIfPresent(path);
  return outcome;
}

function refuseToLose(revoked: OpenDirectory, target: string, location: StagingLocation): void {
  const published = lstatIfPresent(revoked.entry(entryNames.published));
  refuseUnless(revoked, location, entryNames.previous, lstatIfPresent(target));
  refuseUnless(revoked, location, entryNames.unpublished, published);
}

/** An entry may go only when it is the same inode as another name of it, so that nothing is lost with it. */
function refuseUnless(revoked: OpenDirectory, location: StagingLocation, entry: string, other: fs.BigIntStats | undefined): void {
  const stats = lstatIfPresent(revoked.entry(entry));
  if (stats === undefined || (other !== undefined && isSameInode(other, stats))) return;
  const where = join(dirname(location.targetPath), revokedName(location.runId), entry);
  throw new StorageError('RollbackFailed', 'destination', location.targetPath, `${location.targetPath} could not be put back as it was; its content is kept as ${where}`, { found: where });
}
