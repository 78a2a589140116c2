import * as fs from 'node:fs';
import type { TransferControl } from '../control';
import { OpenDirectory } from '../directory';
import { StorageError } from '../errors';
import { joinPath, pathText, splitPath, type PathBytes } from '../path-bytes';
import { CACHE_TAG, isCacheTag, SourceExcludes } from './excludes';
import { look, notFound, tooLong, type Found, type NotFound } from './found';
import { ancestorsOf, SourceQueue } from './source-queue';
import type { WalkedSource } from './sources';
import type { WalkReport, WalkRequest } from './walk-request';
import { directoryGone, identityOf, whyGone, type Walked } from './walked';
import { isSameDirectory, namesOf, withNames, type Listed } from './walked-directory';

/** A source while it is walked through. */
interface Source {
  readonly path: string;
  readonly root: string;
  readonly excludes: SourceExcludes;
  /** What came of it, to be added up. */
  readonly walked: WalkedSource;
  device: bigint | undefined;
}

/** A directory that the walk is inside of. */
interface Level {
  readonly opened: OpenDirectory;
  readonly walked: Walked;
  readonly source: Source;
  /** In order. */
  readonly names: readonly Listed[];
  /** Of the names, the one whose turn it is. */
  next: number;
  /** Which of them are wanted: `sources` is a directory that is left out, on the way to what was named all the same. */
  readonly wanted: 'all' | 'cacheTag' | 'sources';
}

type Open = () => OpenDirectory;

/**
 * Goes through sources depth first, in the order of `orderKey`, each directory before what is in it, and the directories
 * above the sources too. Never follows a link: each directory is opened in the one before it. What cannot be looked at is
 * answered as such, and the others go on. What is named as a source is never left out, whatever leaves out the directory
 * that it is in. Memory grows with the depth and the largest directory, not with the tree; time with the tree alone.
 * @throws StorageError `Cancelled`
 */
export function walk(request: WalkRequest, report: WalkReport, control: TransferControl): Generator<Found | NotFound> {
  return new Walk(request, report, control).all();
}

class Walk {
  private readonly sources: SourceQueue;
  private readonly skipped: readonly string[];
  private readonly above = new Set<string>();
  /** From the top down. A generator in a generator for each level would pass every entry through all of them. */
  private readonly levels: Level[] = [];
  /** Of what the source is in that is walked. */
  private deviceAbove: bigint | undefined;
  /** What is to be answered. */
  private readonly met: (Found | NotFound)[] = [];

  constructor(
    private readonly request: WalkRequest,
    private readonly report: WalkReport,
    private readonly control: TransferControl,
  ) {
    this.sources = new SourceQueue(request.sources);
    this.skipped = request.leaveOut.flatMap((path) => deviceAndInode(path) ?? []);
  }

  *all(): Generator<Found | NotFound> {
    try {
      for (let source = this.comeToSource(); source !== undefined; source = this.comeToSource()) {
        this.start(source);
        yield* this.met.splice(0);
        for (let level = this.levels.at(-1); level !== undefined; level = this.levels.at(-1)) {
          this.control.throwIfCancelled();
          this.step(level);
          if (this.met.length > 0) yield* this.met.splice(0);
        }
      }
    } finally {
      for (const { opened } of this.levels.splice(0)) opened.close();
    }
  }

  private comeToSource(): Source | undefined {
    const next = this.sources.next();
    if (next === undefined) return undefined;
    const walked: WalkedSource = { path: next.path, identity: null, files: 0, vanished: 0, excluded: 0 };
    this.report.sources.push(walked);
    return { ...next, excludes: new SourceExcludes(next.path, this.request.excludes.patterns, this.report.idleExcludes), walked, device: undefined };
  }

  /** Of a source that is below no other one. */
  private start(source: Source): void {
    const { path, root } = source;
    for (const ancestor of ancestorsOf(path)) this.showAbove(ancestor);
    const { directory, name } = splitPath(path);
    this.deviceAbove = fs.lstatSync(directory, { bigint: true, throwIfNoEntry: false })?.dev;
    let parent: OpenDirectory;
    try {
      // The operator allowed the root, and with it the way there.
      parent = path === root ? OpenDirectory.open('/', '/', 'source') : OpenDirectory.open(root, directory, 'source');
    } catch (error) {
      return void this.met.push(notFound(path, 'file', error));
    }
    try {
      const found = look(path, path === root ? path : parent.entry(name), 'file');
      this.takeSource(found, source, () => (path === root ? OpenDirectory.open(root, root, 'source') : parent.child(name)));
      if (this.levels.length === 0) this.failSourcesBelow(path);
    } finally {
      parent.close();
    }
  }

  /** A directory on the way to a source. One that is missing is said by the source. */
  private showAbove(path: string): void {
    if (this.above.has(path)) return;
    this.above.add(path);
    const found = look(path, path, 'directory');
    if (found.stats !== undefined) this.met.push({ ...found, isAbove: true as const });
    else if (found.failure.code !== 'ENOENT') this.met.push(found);
  }

  private takeSource(found: Found | NotFound, source: Source, open: Open): void {
    if (found.stats === undefined) return void this.met.push(found);
    this.begin(source, found.stats);
    this.take(found, source, open, true);
  }

  private begin(source: Source, stats: fs.BigIntStats): void {
    source.walked.identity = identityOf(stats);
    source.device = stats.dev;
  }

  /** Goes on by one name. */
  private step(level: Level): void {
    const listed = level.names[level.next];
    level.next += 1;
    if (listed === undefined) return void this.levels.pop()?.opened.close();
    const path = joinPath(level.walked.path, listed.name);
    const depth = this.levels.length;
    this.visit(level, path, listed);
    if (this.levels.length === depth) this.failSourcesBelow(path);
  }

  private visit(level: Level, path: PathBytes, { name, isDirectory }: Listed): void {
    const open: Open = () => level.opened.child(name);
    const found = this.requireDirectory(look(path, level.opened.entry(name), isDirectory ? 'directory' : 'file'));
    if (this.sources.isNext(path)) return this.takeSource(found, this.comeToSource() as Source, open);
    if (level.wanted === 'sources') return this.passThrough(found, level.source, open);
    if ((level.wanted === 'cacheTag' && name !== CACHE_TAG) || level.source.excludes.isExcluded(path, found.stats?.isDirectory() === true)) {
      level.source.walked.excluded += 1;
      return this.passThrough(found, level.source, open);
    }
    if (found.stats === undefined) return this.miss(found, level, isDirectory);
    this.take({ ...found, directory: level.walked.identity }, level.source, open, false);
  }

  private take(found: Found, source: Source, open: Open, isNamed: boolean): void {
    const { path, stats } = found;
    if (Buffer.byteLength(path) > this.request.maxPathBytes) return void this.met.push(tooLong(found, this.request.maxPathBytes));
    if (stats.isDirectory()) return this.enter(found, source, open);
    if (stats.isFile() && !isNamed && this.isTooLarge(stats)) return void (source.walked.excluded += 1);
    if (stats.isFile()) source.walked.files += 1;
    this.met.push(found);
  }

  private enter(found: Found, source: Source, open: Open): void {
    const { path, stats } = found;
    if (this.skipped.includes(`${stats.dev}:${stats.ino}`)) {
      this.report.leftOut.push(pathText(path));
      return this.passThrough(found, source, open);
    }
    // What is mounted there is an empty directory.
    if (this.request.oneFileSystem && stats.dev !== source.device) return this.sources.hasBelow(path) ? this.go(found, source, open, 'sources') : void this.met.push(found);
    this.go(found, source, open, 'all');
  }

  /** Of what is left out only the way to the sources that are in it. */
  private passThrough(found: Found | NotFound, source: Source, open: Open): void {
    if (!this.sources.hasBelow(found.path)) return;
    if (found.stats === undefined) this.met.push(found);
    else this.go({ ...found, isAbove: true as const }, source, open, 'sources');
  }

  private go(found: Found, source: Source, open: Open, wanted: Level['wanted']): void {
    const { path } = found;
    let opened: OpenDirectory | undefined;
    try {
      opened = open();
      const listed = wanted === 'sources' ? [] : namesOf(opened);
      const isCache = this.request.excludes.caches && listed.some(({ name }) => name === CACHE_TAG) && isCacheTag(opened.entry(CACHE_TAG));
      const stats = opened.stat();
      if (!isSameDirectory(found.stats, stats, this.levels.at(-1)?.opened.stat().dev ?? this.deviceAbove)) throw directoryGone(path);
      if (path === source.path) this.begin(source, stats);
      this.met.push({ ...found, stats });
      this.levels.push({ opened, walked: { path, root: source.root, identity: identityOf(stats) }, source, names: withNames(listed, this.sources.namesBelow(path)), next: 0, wanted: isCache ? 'cacheTag' : wanted });
    } catch (error) {
      opened?.close();
      this.met.push(notFound(path, 'directory', error));
    }
  }

  /** What was listed and is gone a moment later is no failure if it was a file, and all that it was in is there. */
  private miss(missing: NotFound, { walked, source }: Level, isDirectory: boolean): void {
    const { path, type, failure } = missing;
    if (failure.code !== 'ENOENT') return void this.met.push(missing);
    const why = isDirectory ? directoryGone(path) : whyGone(path, { directory: walked, source: { ...source, identity: source.walked.identity ?? '' } });
    if (why !== undefined) return void this.met.push(notFound(path, type, why));
    source.walked.vanished += 1;
  }

  /** What leads to a source cannot be anything else. */
  private requireDirectory(found: Found | NotFound): Found | NotFound {
    if (found.stats === undefined || found.stats.isDirectory() || !this.sources.hasBelow(found.path)) return found;
    return notFound(found.path, 'file', new StorageError('ENOTDIR', 'source', pathText(found.path), `${pathText(found.path)} is no directory any more, and a source was in it`));
  }

  /** The way to them ends here. */
  private failSourcesBelow(path: PathBytes): void {
    while (this.sources.hasBelow(path)) {
      const source = this.comeToSource() as Source;
      const found = look(source.path, source.path, 'file');
      this.met.push(found.stats === undefined ? found : notFound(source.path, 'file', new StorageError('EACCES', 'source', source.path, `${source.path} could not be reached, since ${pathText(path)} could not be read; take it by a snapshot of its own`)));
    }
  }

  private isTooLarge({ size }: fs.BigIntStats): boolean {
    const { maxSizeBytes } = this.request.excludes;
    return maxSizeBytes !== null && size > maxSizeBytes;
  }
}

function deviceAndInode(path: string): string | undefined {
  const stats = fs.statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev}:${stats.ino}`;
}
