import * as fs from 'node:fs';
import { failureOf } from '../../batch/chunk-file';
import { OpenDirectories } from '../../batch/open-directories';
import { requireRun } from '../../batch/open-run';
import type { TransferControl } from '../../control';
import type { OpenDirectory } from '../../directory';
import { blaming, isErrno, StorageError } from '../../errors';
import { isSameInode, lstatIfPresent } from '../../file-stat';
import { createParents, missingParents, OWNER_ONLY } from '../../parents';
import { joinPath, pathText, splitPath, type PathBytes } from '../../path-bytes';
import { isBelowKey, orderKey } from '../entry-order';
import { applyAttributes, hasAttributes } from './attributes';
import { decide, requireKind, type ContentItem, type Decision, type Found } from './decide';
import { makeAside, makeOwnCopy, makeRestoredFifo, makeSymlink } from './make-item';
import { skipTexts, type RestoreSettings } from './request';
import type { DirectoryItem, HardLinkItem, SkippedItem, TreeItem } from './restore-item';
import type { RestoreTally } from './restore-tally';
import type { FirstNames } from './restored-files';
import { targetOf } from './target-finder';
import type { TreeStaging } from './tree-staging';
import { requireReplaceable, requireSettable, requireWritable } from './writable';

/** A directory whose contents are being made. */
interface Entered {
  readonly key: string;
  readonly item: DirectoryItem;
  readonly isCreated: boolean;
}

/**
 * Makes what is no file of its own, in the snapshot's order, after all files are there. A directory gets its owner, times
 * and mode when everything in it is there: they would not last before, and a read-only one could not be filled.
 */
export class TreeRestorer {
  private readonly targets = new OpenDirectories('destination');
  private readonly sources = new OpenDirectories('source');
  private readonly entered: Entered[] = [];
  private made = 0;

  /** @param staging directories of this attempt's own */
  constructor(
    private readonly settings: RestoreSettings,
    private readonly staging: TreeStaging,
    private readonly firstNames: FirstNames,
    private readonly tally: RestoreTally,
    private readonly control: TransferControl,
  ) {}

  /** What is wrong with one entry is written down and does not stop the others. */
  one(item: TreeItem): void {
    this.control.throwIfCancelled();
    this.leaveUnless((directory) => isBelowKey(directory, orderKey(item.path)));
    this.unlessFailed(item.path, () => {
      if (item.type === 'skipped') this.skip(item);
      else if (item.type === 'directory') this.enter(item);
      else this.make(item);
    });
  }

  /** What somebody has asked for by its name, and does not get, is no more than skipped to nobody. */
  private skip({ path, reason, isNamed }: SkippedItem): void {
    if (isNamed !== true) return this.tally.skip(path, reason);
    this.tally.fail(path, { code: 'ENOENT', side: 'source', message: `${pathText(path)} was asked for and is not restored: ${skipTexts[reason]}` });
  }

  /** Of an entry that a cancelled run does not make: a directory that is there is put right all the same. */
  oneOfCancelled(item: TreeItem): void {
    if (item.type === 'skipped' || (item.type === 'directory' && this.isThere(item))) this.one(item);
    else this.tally.skipMany(1, 'cancelled');
  }

  /** Finishes the last directories, and makes the names in all of them durable. */
  end(): void {
    this.leaveUnless(() => false);
    this.targets.sync();
  }

  close(): void {
    this.targets.close();
    this.sources.close();
  }

  private isThere({ path }: DirectoryItem): boolean {
    try {
      this.targets.look(this.settings.location.root, targetOf(this.settings.location, path));
      return true;
    } catch (error) {
      if (error instanceof StorageError) return false;
      throw error;
    }
  }

  private enter(item: DirectoryItem): void {
    const target = targetOf(this.settings.location, item.path);
    if (item.isKept === true) return this.tally.skipMany(1, 'exists');
    const { parent, name } = this.parentOf(target);
    const isCreated = blaming('destination', pathText(target), () => makeDirectory(parent, name, pathText(target)));
    // Whoever has made it may have died before that was durable; likewise below.
    this.touch(parent);
    this.entered.push({ key: orderKey(item.path), item, isCreated });
  }

  /** Deepest first: what is made in a directory changes its times. */
  private leaveUnless(isInside: (key: string) => boolean): void {
    for (let top = this.entered.at(-1); top !== undefined && !isInside(top.key); top = this.entered.at(-1)) {
      const { item, isCreated } = top;
      this.entered.pop();
      this.unlessFailed(item.path, () => this.leave(item, isCreated));
    }
  }

  private leave({ path, attributes }: DirectoryItem, isCreated: boolean): void {
    const target = targetOf(this.settings.location, path);
    const directory = this.targets.look(this.settings.location.root, target);
    this.touch(directory);
    if (!isCreated && hasAttributes(directory.stat(), attributes)) return this.tally.unchanged();
    // Whose it is itself does not matter to that, as long as it is the one: that depends on what holds it.
    this.parentOf(target).parent.requireTrust();
    requireSettable({ stats: directory.stat(), entry: directory.handle }, pathText(target));
    directory.use((descriptor) => applyAttributes(descriptor, attributes));
    this.tally.restored();
  }

  private make(item: ContentItem): void {
    const target = targetOf(this.settings.location, item.path);
    const text = pathText(target);
    const { parent, name } = this.parentOf(target);
    const entry = parent.entry(name);
    const found = blaming('destination', text, () => foundAt(entry));
    const decision = blaming('destination', text, () => this.decideOn(item, found, text));
    if (decision === 'keep') return this.tally.skipMany(1, 'exists');
    this.touch(parent);
    if (decision === 'unchanged') return this.tally.unchanged();
    if (found !== undefined) requireReplaceable(parent, found.stats);
    this.made += 1;
    const staged = `${this.staging.for(parent)}/${this.made}`;
    let sizeBytes = 0;
    blaming('destination', text, () => makeAside(staged, entry, decision === 'replace', text, () => (sizeBytes = this.makeStaged(staged, item, text))));
    this.tally.restored(1, sizeBytes);
  }

  private decideOn(item: ContentItem, found: Found | undefined, text: string): Decision {
    if (item.type !== 'hardLink' || found === undefined) return decide(item, found, this.settings.overwrite, text, this.control);
    const first = this.findFirst(item);
    if (first !== undefined && isSameInode(first.stats, found.stats)) return 'unchanged';
    const decision = decide(item, found, this.settings.overwrite, text, this.control);
    // As recorded, but for being a file of its own.
    return decision === 'unchanged' && this.settings.overwrite === 'always' && first !== undefined ? 'replace' : decision;
  }

  /** Answers how many bytes were copied. */
  private makeStaged(staged: string, item: ContentItem, text: string): number {
    switch (item.type) {
      case 'symlink':
        makeSymlink(staged, item);
        return 0;
      case 'fifo':
        makeRestoredFifo(staged, item);
        return 0;
      case 'hardLink':
        return this.linkOrCopy(staged, item, text);
      case 'file':
        throw new Error('Files are restored in chunks');
    }
  }

  private linkOrCopy(staged: string, item: HardLinkItem, text: string): number {
    const first = this.findFirst(item);
    if (first !== undefined && canLink(first.entry, staged)) return 0;
    makeOwnCopy(staged, item, text, this.settings, this.sources, this.control);
    if (first !== undefined) this.firstNames.replace(item.first, item.path);
    return item.sizeBytes;
  }

  /** The first name, or the fresh copy that has taken its place, if this run has restored the same content there and it is there still. */
  private findFirst({ first, sha256, sizeBytes, attributes }: HardLinkItem): Found | undefined {
    if (this.firstNames.digestOf(first) !== sha256) return undefined;
    const { directory, name } = splitPath(targetOf(this.settings.location, this.firstNames.latest(first)));
    try {
      const found = foundAt(this.targets.look(this.settings.location.root, directory).entry(name));
      return found?.stats.isFile() === true && Number(found.stats.size) === sizeBytes && String(found.stats.mtimeNs) === attributes.mtimeNs ? found : undefined;
    } catch (error) {
      if (error instanceof StorageError) return undefined;
      throw error;
    }
  }

  /** To look at; what is missing is made. */
  private parentOf(target: PathBytes): { readonly parent: OpenDirectory; readonly name: PathBytes } {
    const { location } = this.settings;
    const { directory, name } = splitPath(target);
    try {
      return { parent: this.targets.look(location.root, directory), name };
    } catch (error) {
      if (!isErrno(error, 'ENOENT') || directory === location.destination) throw error;
      requireRun(location);
      createParents(location.root, missingParents(location.destination, joinPath(directory, '-')), { sync: this.settings.syncEach });
      return { parent: this.targets.look(location.root, directory), name };
    }
  }

  private touch(directory: OpenDirectory): void {
    if (this.settings.syncEach) this.targets.touch(directory);
  }

  private unlessFailed(path: PathBytes, calls: () => void): void {
    try {
      calls();
    } catch (error) {
      if (error instanceof StorageError && error.code === 'Cancelled') throw error;
      this.tally.fail(path, failureOf(error));
    }
  }
}

function foundAt(entry: PathBytes): Found | undefined {
  const stats = lstatIfPresent(entry);
  return stats && { stats, entry };
}

/** Answers whether it was missing. @throws StorageError `TargetInvalid` when something else lies there */
function makeDirectory(parent: OpenDirectory, name: PathBytes, text: string): boolean {
  const stats = lstatIfPresent(parent.entry(name));
  if (stats !== undefined) {
    requireKind(stats, 'directory', text);
    return false;
  }
  requireWritable(parent);
  // Nobody else's until it has its mode, when everything in it is there.
  fs.mkdirSync(parent.entry(name), OWNER_ONLY);
  return true;
}

/** A file system may have no hard links, or a file as many as it can have. */
function canLink(first: PathBytes, staged: string): boolean {
  try {
    fs.linkSync(first, staged);
    return true;
  } catch (error) {
    if (isErrno(error, 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK', 'EXDEV', 'ENOENT', 'EACCES')) return false;
    throw error;
  }
}
