import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { revokedName, stagingName } from '../core/names';
import { OpenDirectory } from './directory';
import { blaming, isErrno, StorageError } from './errors';
import { lstatIfPresent } from './file-stat';

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
  record: 'record.json',
  /** Second link of the staged file: tells ours from anybody else's later. */
  published: 'published',
  /** The previous target, kept until the run is finalized. */
  previous: 'previous',
  /** A target taken back by undo. */
  unpublished: 'unpublished',
} as const;

/**
 * Names of staged files come back from the workflow: none may lead out of the staging directory.
 * @throws StorageError `InvalidInput`
 */
export function requireEntryName(name: string, { targetPath }: StagingLocation): string {
  if (name !== '..' && !name.includes('/')) return name;
  throw new StorageError('InvalidInput', 'destination', targetPath, `${JSON.stringify(name)} is no name of a staged file`);
}

/** Path of a live staging entry below an open parent. By path on purpose: after `revoke` it leads nowhere. */
export function liveEntry(parent: OpenDirectory, { runId }: StagingLocation, name: string): string {
  return parent.entry(`${stagingName(runId)}/${name}`);
}

export function revokedEntry(parent: OpenDirectory, { runId }: StagingLocation, name: string): string {
  return parent.entry(`${revokedName(runId)}/${name}`);
}

/**
 * Runs calls in the staging directory.
 * @throws StorageError `StagingRevoked` when it is gone from a destination that is still there, `DestinationGone` when
 *   the destination itself is not the one that the operation began with
 */
export function inStaging<T>(location: StagingLocation, calls: (staging: OpenDirectory) => T): T {
  return explainMissing(location, () => {
    const staging = OpenDirectory.open(location.root, join(dirname(location.targetPath), stagingName(location.runId)), 'destination');
    try {
      return calls(staging);
    } finally {
      staging.close();
    }
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
      if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) removeStaging(live);
      else if (!isErrno(error, 'ENOENT')) throw error;
    }
    if (lstatIfPresent(revoked) !== undefined) return true;
    // Nothing there: removed by an earlier attempt, unless the whole disk is away.
    requireDestination(location.destination);
    return false;
  });
}

/** Empties and removes a staging directory. It is flat; what is missing already counts as removed. */
export function removeStaging(path: string): void {
  for (const name of namesIn(path)) unlinkIfPresent(`${path}/${name}`);
  try {
    fs.rmdirSync(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/** Names in a directory; none when it is not there. */
export function namesIn(path: string): string[] {
  try {
    return fs.readdirSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

export function unlinkIfPresent(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
