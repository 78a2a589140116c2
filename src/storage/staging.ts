import * as fs from 'node:fs';
import { revokedName, stagingName } from '../core/names';
import { inParent, using, type OpenDirectory } from './directory';
import { blaming, isErrno, StorageError } from './errors';
import { lstatIfPresent } from './file-stat';
import { PROBE } from './hard-links';
import { pathText } from './path-bytes';
import { removeTree } from './remove-tree';
import { readRecord, RECORD_DRAFT, RECORD_NAME } from './staging-mark';
import { unlinkIfPresent } from './entries';

/** The directory that stood for the destination when the operation began: its disk may be gone later. */
export interface DirectoryIdentity {
  readonly path: string;
  readonly device: string;
  readonly inode: string;
  /** When it was made, where the file system tells. */
  readonly bornNs?: string;
}

export function identityOf(path: string, { dev, ino, birthtimeNs, ctimeNs }: fs.BigIntStats): DirectoryIdentity {
  const identity = { path, device: String(dev), inode: String(ino) };
  // Where it is not known Node gives zero, or ctime instead.
  return birthtimeNs === 0n || birthtimeNs === ctimeNs ? identity : { ...identity, bornNs: String(birthtimeNs) };
}

/** Device numbers are handed out anew when a machine starts, and by some file systems with every mount: only without a time of birth do they count. */
function isSameDirectory(a: DirectoryIdentity, b: DirectoryIdentity): boolean {
  if (a.inode !== b.inode) return false;
  return a.bornNs !== undefined && b.bornNs !== undefined ? a.bornNs === b.bornNs : a.device === b.device;
}

/** Where an operation's staging directory stands: beside the target, named after the run. */
export interface StagingLocation {
  readonly root: string;
  readonly targetPath: string;
  readonly runId: string;
  readonly destination: DirectoryIdentity;
}

/** Entries of a staging directory other than staged files, whose names are random. */
export const entryNames = {
  /** What `prepareStaging` found; its presence makes a repeated attempt answer the same. */
  record: RECORD_NAME,
  /** Second link of the staged file: tells ours from anybody else's later. */
  published: 'published',
  /** The previous target, kept until the run is finalized. */
  previous: 'previous',
  /** A target taken back by undo. */
  unpublished: 'unpublished',
} as const;

/** Links about to be renamed over a target have names of this beginning. */
export const READY = 'ready-';

/**
 * Names of staged files come back from the workflow: none may lead out of the staging directory.
 * @throws StorageError `InvalidInput`
 */
export function requireEntryName(name: string, { targetPath }: StagingLocation): string {
  if (name !== '..' && !name.includes('/')) return name;
  throw new StorageError('InvalidInput', 'destination', targetPath, `${JSON.stringify(name)} is no name of a staged file`);
}

/**
 * Path of a live staging entry below an open parent: what publishes goes by it on purpose, since after `revoke` it leads
 * nowhere. Everything else names entries through the open staging directory.
 */
export function liveEntry(parent: OpenDirectory, { runId }: StagingLocation, name: string): string {
  return parent.entry(`${stagingName(runId)}/${name}`);
}

/**
 * Opens the staging directory below its open parent, if it is the one that the run has made: its own user's, closed to
 * others, and with the run's mark in it, or nothing at all yet.
 * @param name the directory's, which changes when it is revoked
 * @throws StorageError `DestinationNotTrusted` when it is somebody else's, or another run's; errno names
 */
export function openStaging(parent: OpenDirectory, location: StagingLocation, name = stagingName(location.runId)): OpenDirectory {
  const staging = parent.child(name).own();
  try {
    if (readRecord(staging, location) === undefined) requireUnused(staging);
    return staging;
  } catch (error) {
    staging.close();
    throw error;
  }
}

/** A directory without a mark was made by an attempt that did not come to writing it. */
function requireUnused(staging: OpenDirectory): void {
  const found = fs.readdirSync(staging.handle).find((name) => !name.startsWith(RECORD_DRAFT) && !name.startsWith(PROBE));
  if (found === undefined) return;
  const path = pathText(staging.path);
  throw new StorageError('DestinationNotTrusted', 'destination', path, `${path} is not the staging directory of this run: it has no ${RECORD_NAME}, and holds something else`);
}

/**
 * Runs calls in the staging directory.
 * @throws StorageError `StagingRevoked` when it is gone from a destination that is still there, `DestinationGone` when
 *   the destination itself is not the one that the operation began with
 */
export function inStaging<T>(location: StagingLocation, calls: (staging: OpenDirectory) => T): T {
  return explainMissing(location, () => {
    return inParent(location.root, location.targetPath, 'destination', (parent) => using(openStaging(parent, location), calls));
  });
}

/** Turns "no such file" in staging into what it means. */
export function explainMissing<T>(location: StagingLocation, calls: () => T): T {
  try {
    return calls();
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || isOfSource(error)) throw error;
    requireDestination(location.destination);
    throw new StorageError('StagingRevoked', 'destination', location.targetPath, `The staging directory of ${location.targetPath} is gone`, {}, { cause: error });
  }
}

function isOfSource(error: unknown): boolean {
  return error instanceof StorageError && error.side === 'source';
}

/** @throws StorageError `DestinationGone` unless the directory is the very one that was there at the start */
export function requireDestination(destination: DirectoryIdentity): void {
  const stats = blaming('destination', destination.path, () => lstatIfPresent(destination.path));
  if (stats !== undefined && isSameDirectory(identityOf(destination.path, stats), destination)) return;
  throw new StorageError(
    'DestinationGone',
    'destination',
    destination.path,
    stats === undefined ? `Destination ${destination.path} is gone` : `Destination ${destination.path} is not the one that the backup began with`,
  );
}

/**
 * Renames the staging directory away, so that no step that comes late can publish: the fence between this run and
 * whatever follows. Doing it twice is harmless.
 * @returns false when there is nothing to undo or finalize any more
 */
export function revoke(parent: OpenDirectory, location: StagingLocation): boolean {
  const live = parent.entry(stagingName(location.runId));
  const revoked = parent.entry(revokedName(location.runId));
  return blaming('destination', location.targetPath, () => {
    try {
      fs.renameSync(live, revoked);
    } catch (error) {
      if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) removeStaging(parent, location, stagingName(location.runId));
      else if (!isErrno(error, 'ENOENT')) throw error;
    }
    if (lstatIfPresent(revoked) !== undefined) return true;
    // Nothing there: removed by an earlier attempt, unless the whole disk is away.
    requireDestination(location.destination);
    return false;
  });
}

/** Empties and removes a staging directory; one that is missing already counts as removed. @throws StorageError `DestinationNotTrusted` */
export function removeStaging(parent: OpenDirectory, location: StagingLocation, name: string): void {
  try {
    using(openStaging(parent, location, name), ({ handle }) => {
      // The mark goes last: without it nothing else in there is known for this run's.
      for (const entry of fs.readdirSync(handle).filter((each) => each !== RECORD_NAME)) removeTree(handle, entry);
      unlinkIfPresent(`${handle}/${RECORD_NAME}`);
    });
    fs.rmdirSync(parent.entry(name));
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

export { namesIn, unlinkIfPresent } from './entries';
