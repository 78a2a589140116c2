import * as fs from 'node:fs';
import { isBelow } from '../../core/roots';
import { isErrno, StorageError } from '../errors';
import { bytewise, type PathBytes } from '../path-bytes';
import { orderKey } from './entry-order';

/** A directory or file that is to be backed up, and the allowed root that holds it. */
export interface WalkSource {
  readonly path: string;
  readonly root: string;
}

/** What a walk found of a source. */
export interface WalkedSource {
  readonly path: string;
  /** Null when it could not be looked at. */
  identity: string | null;
  /** That are to be read: not those of a source below it. */
  files: number;
  /** Files that were listed, and gone a moment later. */
  vanished: number;
  /** What was left out on request. */
  excluded: number;
}

/** Each source once, in the order of the walk: one below another one comes after it. */
export function inWalkOrder<Source extends { readonly path: string }>(sources: readonly Source[]): Source[] {
  return [...new Map(sources.map((source) => [source.path, source])).values()].sort((a, b) => (orderKey(a.path) < orderKey(b.path) ? -1 : 1));
}

/** The source that an entry belongs to: of several the innermost one. */
export function sourceOf<Source extends { readonly path: string }>(sources: readonly Source[], path: PathBytes): Source | undefined {
  const bytes = bytewise(path);
  return sources.filter((source) => isBelow(bytewise(source.path), bytes)).sort((a, b) => b.path.length - a.path.length)[0];
}

/** The sources without those that lie below another one, in order: what a snapshot says of itself, and who follows whom. */
export function distinctSources<Source extends { readonly path: string }>(sources: readonly Source[]): Source[] {
  const sorted = inWalkOrder(sources);
  return sorted.filter(({ path }) => !sorted.some((other) => other.path !== path && `${path}/`.startsWith(other.path === '/' ? '/' : `${other.path}/`)));
}

/**
 * Refuses sources of which some are not there: a mistyped one would not be noticed among the others.
 * @throws StorageError `SourceNotFound`
 */
export function requireSources(sources: readonly WalkSource[]): void {
  const missing = sources.map(({ path }) => path).filter(isMissing);
  if (missing.length === 0) return;
  const names = missing.join(', ');
  throw new StorageError('SourceNotFound', 'source', names, `Nothing was copied, since ${names} ${missing.length === 1 ? 'is' : 'are'} not there; allowMissing (--allow-missing) takes what is`);
}

/** Links are followed: one that leads nowhere is no source. */
function isMissing(path: string): boolean {
  try {
    fs.statSync(path);
    return false;
  } catch (error) {
    // What is there and cannot be looked at fails by name.
    return isErrno(error, 'ENOENT', 'ENOTDIR');
  }
}
