import type * as fs from 'node:fs';
import { inDirectory } from '../directory';
import { errnoName, StorageError } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { pathText, splitPath, type PathBytes } from '../path-bytes';
import { text } from '../records/shape';

/**
 * What tells a file or directory from whatever lies at its path later. The number of a removed one is given to the next
 * one that is made, so the time of birth counts too, where the file system knows it.
 */
export function identityOf({ dev, ino, birthtimeNs }: fs.BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs}`;
}

/** The number of an inode, as entries have it. */
export function inodeOf(identity: string): string {
  return identity.split(':')[1] ?? '';
}

/** An identity in a plan. */
export const identity = text(80, /^\d+:\d+:-?\d+$/);

/** What the walk came by, and can be looked for again. */
export interface Walked {
  readonly path: PathBytes;
  /** The allowed root that holds it. */
  readonly root: string;
  readonly identity: string;
}

/** Whether a file that was listed and is gone is harmless: the directory that it was listed in, and the source, are still the ones that were walked. */
export interface WalkedPlace {
  /** Undefined for what was named as a source: it was not listed anywhere. */
  readonly directory: Walked | undefined;
  readonly source: Walked;
}

/**
 * What it means that something below a source is not there any more. A file that somebody removes is no failure; one that
 * went away with its directory, its source or their disk is.
 * @returns the failure; undefined where it is none
 */
export function whyGone(path: PathBytes, { directory, source }: WalkedPlace): StorageError | undefined {
  if (!isStillThere(source)) return gone('SourceGone', path, `${pathText(path)} is gone: ${pathText(source.path)} is not the source any more that the walk went through`);
  if (directory === undefined) return gone('SourceGone', path, `${pathText(path)} was a source, and is gone`);
  if (isStillThere(directory)) return undefined;
  return gone('DirectoryGone', path, `${pathText(path)} is gone: ${pathText(directory.path)} is not the directory any more that the walk went through`);
}

function gone(code: 'SourceGone' | 'DirectoryGone', path: PathBytes, message: string): StorageError {
  return new StorageError(code, 'source', pathText(path), message);
}

/** A directory of the walk that was moved, removed or exchanged while it was walked. */
export function directoryGone(path: PathBytes): StorageError {
  return gone('DirectoryGone', path, `${pathText(path)} was moved, removed, mounted over or unmounted while the sources were walked`);
}

/** What cannot be looked at is not proved to be there. */
function isStillThere({ path, root, identity: walked }: Walked): boolean {
  try {
    // The operator allowed the root, and with it the way there.
    const stats = path === root ? lstatIfPresent(root) : statOf(root, path);
    return stats !== undefined && identityOf(stats) === walked;
  } catch (error) {
    if (errnoName(error) === undefined) throw error;
    return false;
  }
}

function statOf(root: string, path: PathBytes): fs.BigIntStats | undefined {
  const { directory, name } = splitPath(path);
  return inDirectory(root, directory, 'source', (parent) => lstatIfPresent(parent.entry(name)));
}
