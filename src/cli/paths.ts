import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { UsageError } from './exit-codes';

/** A path as a person typed it, made absolute and rid of links in its parents; the file itself may still be a link. */
export function canonicalFile(what: string, typed: string): string {
  if (typed.endsWith('/')) throw new UsageError(`${what} ${typed} names a directory; give the full path of the file`);
  const path = resolve(typed);
  return path === '/' ? path : join(canonicalDirectory(dirname(path)), basename(path));
}

/** The nearest directory on the way to a file that exists. */
export function nearestDirectory(file: string): string {
  const parent = dirname(file);
  return realPath(parent) ?? nearestDirectory(parent);
}

/** A directory as a person typed it, made absolute and rid of links; what does not exist yet is kept as it was named. */
export function canonicalDirectory(typed: string): string {
  const path = resolve(typed);
  return realPath(path) ?? join(canonicalDirectory(dirname(path)), basename(path));
}

/** What a source may be called in a repository: the host that made a snapshot may have had other links than this one. */
export function sourcesMeant(typed: string): string[] {
  return [resolve(typed), canonicalDirectory(typed)];
}

/** Undefined for whatever cannot be resolved: the worker says what is wrong with it. */
function realPath(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch (error) {
    if (path === '/') throw error;
    return undefined;
  }
}
