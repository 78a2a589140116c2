import * as fs from 'node:fs';
import { errnoName, StorageError } from '../errors';
import { pathOf, pathText, type PathBytes } from '../path-bytes';
import type { FailedEntry } from './entry';

/** Something that was met. */
export interface Found {
  readonly path: PathBytes;
  readonly stats: fs.BigIntStats;
  /** Of symbolic links. */
  readonly linkTarget?: PathBytes;
  /** A directory on the way to a source: nobody asked for it. */
  readonly isAbove?: true;
  /** Identity of the directory that it was listed in; not of what is a source itself. */
  readonly directory?: string;
}

/** What could not be looked at. */
export interface NotFound {
  readonly path: PathBytes;
  readonly stats?: undefined;
  readonly type: FailedEntry['type'];
  readonly failure: FailedEntry['failure'];
}

/**
 * Looks at an entry, and never follows a link.
 * @param entry the same by way of its open directory
 */
export function look(path: PathBytes, entry: PathBytes, type: FailedEntry['type']): Found | NotFound {
  try {
    const stats = fs.lstatSync(entry, { bigint: true });
    return stats.isSymbolicLink() ? { path, stats, linkTarget: pathOf(fs.readlinkSync(entry, 'buffer')) } : { path, stats };
  } catch (error) {
    return notFound(path, type, error);
  }
}

/** @throws what is no error of the file system, and `Cancelled` */
export function notFound(path: PathBytes, type: FailedEntry['type'], error: unknown): NotFound {
  if (error instanceof StorageError && error.code === 'Cancelled') throw error;
  const code = errnoName(error);
  if (code === undefined) throw error;
  const message = error instanceof StorageError ? error.message : `${pathText(path)} could not be looked at: ${code}`;
  return { path, type, failure: { code, side: 'source', message } };
}

/** A copy that no path leads to would be none. */
export function tooLong({ path, stats }: Found, maxPathBytes: number): NotFound {
  const message = `The path of ${pathText(path)} is longer than ${maxPathBytes} bytes, and that of its copy would be too long${stats.isDirectory() ? '; nothing in it is backed up' : ''}`;
  return { path, type: stats.isDirectory() ? 'directory' : 'file', failure: { code: 'ENAMETOOLONG', side: 'destination', message } };
}
