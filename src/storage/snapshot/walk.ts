import * as fs from 'node:fs';
import type { TransferControl } from '../control';
import { OpenDirectory } from '../directory';
import { StorageError, errnoName } from '../errors';
import { joinPath, pathOf, pathText, splitPath, type PathBytes } from '../path-bytes';
import type { FailedEntry } from './entry';
import { nameKey, orderKey } from './entry-order';
import { CACHE_TAG, isCacheTag, SourceExcludes, type ExcludeRules } from './excludes';

/** A directory or file that is to be backed up, and the allowed root that holds it. */
export interface WalkSource {
  readonly path: string;
  readonly root: string;
}

export interface WalkRequest {
  /** In order, none of them below another. */
  readonly sources: readonly WalkSource[];
  readonly excludes: ExcludeRules;
  /** Stay on the file system of each source; what is mounted below appears as an empty directory. */
  readonly oneFileSystem: boolean;
  /** Directories that are left out wherever they are met: the repository, and where the worker keeps its state. */
  readonly leaveOut: readonly string[];
  /** What has a longer path is answered as such, and of a directory nothing that is in it. */
  readonly maxPathBytes: number;
}

/** Something that was met. */
export interface Found {
  readonly path: PathBytes;
  readonly stats: fs.BigIntStats;
  /** Of symbolic links. */
  readonly linkTarget?: PathBytes;
  /** A directory on the way to a source: nobody asked for it. */
  readonly isAbove?: true;
}

/** What could not be looked at. */
export interface NotFound {
  readonly path: PathBytes;
  readonly stats?: undefined;
  readonly type: FailedEntry['type'];
  readonly failure: FailedEntry['failure'];
}

/** Names of what was left out by itself, and how much on request. */
export interface LeftOut {
  readonly paths: string[];
  excluded: number;
}

/**
 * Goes through sources depth first, in the order of `orderKey`, each directory before what is in it, and the directories
 * above the sources too. Never follows a link: each directory is opened in the one before it. What cannot be looked at is
 * answered as such, and the others go on. Memory grows with the depth and the largest directory, not with the tree.
 * @throws StorageError `Cancelled`
 */
export function* walk(request: WalkRequest, leftOut: LeftOut, control: TransferControl): Generator<Found | NotFound> {
  const shown = new Set<string>();
  const skipped = request.leaveOut.flatMap((path) => identityOf(path) ?? []);
  for (const source of request.sources) {
    for (const ancestor of ancestorsOf(source.path)) {
      if (shown.has(ancestor)) continue;
      shown.add(ancestor);
      const found = look(ancestor, ancestor, 'directory');
      yield found.stats === undefined ? found : { ...found, isAbove: true as const };
    }
    yield* new SourceWalk(request, source, skipped, leftOut, control).all();
  }
}

/** `/` and every directory on the way to a path. */
function ancestorsOf(path: string): string[] {
  if (path === '/') return [];
  const names = path.split('/').slice(1, -1);
  return ['/', ...names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`)];
}

function identityOf(path: string): string | undefined {
  const stats = fs.statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev}:${stats.ino}`;
}

class SourceWalk {
  private readonly excludes: SourceExcludes;
  private device: bigint | undefined;

  constructor(
    private readonly request: WalkRequest,
    private readonly source: WalkSource,
    private readonly skipped: readonly string[],
    private readonly leftOut: LeftOut,
    private readonly control: TransferControl,
  ) {
    this.excludes = new SourceExcludes(source.path, request.excludes.patterns);
  }

  *all(): Generator<Found | NotFound> {
    const { path, root } = this.source;
    const { directory, name } = splitPath(path);
    let parent: OpenDirectory;
    try {
      // The operator allowed the root, and with it the way there.
      parent = path === root ? OpenDirectory.open('/', '/', 'source') : OpenDirectory.open(root, directory, 'source');
    } catch (error) {
      yield notFound(path, 'file', error);
      return;
    }
    try {
      const entry = path === root ? path : parent.entry(name);
      const found = look(path, entry, 'file');
      this.device = found.stats?.dev;
      yield* this.one(found, () => (path === root ? OpenDirectory.open(root, root, 'source') : parent.child(name)));
    } finally {
      parent.close();
    }
  }

  private *one(found: Found | NotFound, open: () => OpenDirectory): Generator<Found | NotFound> {
    this.control.throwIfCancelled();
    if (found.stats === undefined) yield found;
    else if (Buffer.byteLength(found.path) > this.request.maxPathBytes) yield tooLong(found, this.request.maxPathBytes);
    else if (found.stats.isDirectory()) yield* this.directory(found, open);
    else if (found.stats.isFile() && this.isTooLarge(found.stats)) this.leftOut.excluded += 1;
    else yield found;
  }

  private *directory(found: Found, open: () => OpenDirectory): Generator<Found | NotFound> {
    const { path, stats } = found;
    if (this.skipped.includes(`${stats.dev}:${stats.ino}`)) return void this.leftOut.paths.push(pathText(path));
    if (this.request.oneFileSystem && stats.dev !== this.device) {
      yield found;
      return;
    }
    let directory: OpenDirectory | undefined;
    try {
      let names: PathBytes[];
      try {
        directory = open();
        names = namesOf(directory);
      } catch (error) {
        yield notFound(path, 'directory', error);
        return;
      }
      yield found;
      yield* this.inside(directory, path, names);
    } finally {
      directory?.close();
    }
  }

  private *inside(directory: OpenDirectory, path: PathBytes, all: readonly PathBytes[]): Generator<Found | NotFound> {
    const isCache = this.request.excludes.caches && all.includes(CACHE_TAG) && isCacheTag(directory.entry(CACHE_TAG));
    const names = isCache ? [CACHE_TAG] : all;
    this.leftOut.excluded += all.length - names.length;
    for (const name of names) {
      const entry = joinPath(path, name);
      const found = look(entry, directory.entry(name), 'file');
      if (this.excludes.isExcluded(entry, found.stats?.isDirectory() === true)) this.leftOut.excluded += 1;
      else yield* this.one(found, () => directory.child(name));
    }
  }

  private isTooLarge({ size }: fs.BigIntStats): boolean {
    const { maxSizeBytes } = this.request.excludes;
    return maxSizeBytes !== null && size > maxSizeBytes;
  }
}

/** Names in the common order. Read as text first, which is faster; names that are none come as bytes. */
function namesOf(directory: OpenDirectory): PathBytes[] {
  const path = directory.entry('.');
  const texts = fs.readdirSync(path);
  if (!texts.some((name) => name.includes('\ufffd'))) return texts.sort(byKey);
  return fs.readdirSync(path, 'buffer').map(pathOf).sort(byKey);
}

function byKey(a: PathBytes, b: PathBytes): number {
  const [keyA, keyB] = [nameKey(a), nameKey(b)];
  return keyA < keyB ? -1 : keyA > keyB ? 1 : 0;
}

/** @param entry the same by way of its open directory */
function look(path: PathBytes, entry: PathBytes, type: FailedEntry['type']): Found | NotFound {
  try {
    const stats = fs.lstatSync(entry, { bigint: true });
    return stats.isSymbolicLink() ? { path, stats, linkTarget: pathOf(fs.readlinkSync(entry, 'buffer')) } : { path, stats };
  } catch (error) {
    return notFound(path, type, error);
  }
}

function notFound(path: PathBytes, type: FailedEntry['type'], error: unknown): NotFound {
  if (error instanceof StorageError && error.code === 'Cancelled') throw error;
  const code = errnoName(error);
  if (code === undefined) throw error;
  const message = error instanceof StorageError ? error.message : `${pathText(path)} could not be looked at: ${code}`;
  return { path, type, failure: { code, side: 'source', message } };
}

/** A copy that no path leads to would be none. */
function tooLong({ path, stats }: Found, maxPathBytes: number): NotFound {
  const message = `The path of ${pathText(path)} is longer than ${maxPathBytes} bytes, and that of its copy would be too long${stats.isDirectory() ? '; nothing in it is backed up' : ''}`;
  return { path, type: stats.isDirectory() ? 'directory' : 'file', failure: { code: 'ENAMETOOLONG', side: 'destination', message } };
}

/** What was listed and gone a moment later is no failure, unless somebody named it. */
export function isVanished({ path, failure }: NotFound, sources: readonly string[]): boolean {
  return failure.code === 'ENOENT' && !sources.some((source) => source === path);
}

/** The sources without those that lie below another one, in order. */
export function distinctSources<Source extends { readonly path: string }>(sources: readonly Source[]): Source[] {
  const sorted = [...new Map(sources.map((source) => [source.path, source])).values()].sort((a, b) => (orderKey(a.path) < orderKey(b.path) ? -1 : 1));
  return sorted.filter(({ path }) => !sorted.some((other) => other.path !== path && `${path}/`.startsWith(other.path === '/' ? '/' : `${other.path}/`)));
}
