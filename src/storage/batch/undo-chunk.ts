import * as fs from 'node:fs';
import { join } from 'node:path';
import { syncDirectory } from '../directory';
import { blaming, isErrno } from '../errors';
import { isSameInode, lstatIfPresent } from '../file-stat';
import { isLinkRefused } from '../hard-links';
import { joinPath, pathText, splitPath, type PathBytes } from '../path-bytes';
import { unlinkIfPresent } from '../staging';
import { OpenDirectories } from './open-directories';
import { renameNew } from './publish-chunk';
import { runDirectory, runEntries, runPath, type RunLocation } from './run-directory';
import { inRun } from './run-mark';
import { isPublished, tracesOf, type Published, type Trace } from './undo-traces';

export interface UndoneChunk {
  readonly restored: number;
  readonly removed: number;
  /** Targets that somebody else has written since: they stay. */
  readonly foreign: number;
}

/**
 * The fence of the whole run: renames its staging directory away, so that no chunk that comes late can publish.
 * Doing it twice is harmless.
 * @throws StorageError `DestinationGone` when the run's directory is not there
 */
export function revokeRun(location: RunLocation): void {
  blaming('destination', runPath(location), () => inRun(location, revokeIn));
}

function revokeIn(location: RunLocation): void {
  const run = runDirectory(location);
  try {
    fs.renameSync(join(run, runEntries.staging), join(run, runEntries.revoked));
  } catch (error) {
    // Revoked before.
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  // Undo looks for what was kept under the new name alone.
  syncDirectory(run);
}

/**
 * Takes back what a chunk published: restores kept previous targets, removes targets that are new, and leaves what is
 * not ours by now. Goes by the journal, and by what attempts left that published without getting to it.
 * Repeated, it finds its work done.
 * @param journalTag of the chunk's journal as a check has just found it, null for none; undefined where nothing is known
 * @throws StorageError `RunAltered`, errno names
 */
export function undoChunk(location: RunLocation, chunk: number, journalTag?: string | null): UndoneChunk {
  return inRun(location, (opened) => undoIn(opened, chunk, journalTag));
}

function undoIn(location: RunLocation, chunk: number, journalTag: string | null | undefined): UndoneChunk {
  const undo = new Undo(location);
  try {
    for (const trace of tracesOf(location, chunk, journalTag)) undo.one(trace);
    undo.sync();
    return undo.counts;
  } finally {
    undo.close();
  }
}

class Undo {
  readonly counts = { restored: 0, removed: 0, foreign: 0 };
  private readonly targets = new OpenDirectories('destination');
  private readonly touched = new Set<ReturnType<OpenDirectories['get']>>();
  private readonly revoked: string;

  constructor(private readonly location: RunLocation) {
    this.revoked = join(runDirectory(location), runEntries.revoked);
  }

  /** What the target was before the run is the one kept file that no attempt published, however many attempts there were. */
  one({ target, isJournaled, ours, kept }: Trace): void {
    const path = joinPath(this.location.destination, target);
    blaming('destination', pathText(path), () => {
      const stats = this.at(path, (entry) => lstatIfPresent(entry));
      const keptStats = kept.map((name) => [name, lstatIfPresent(join(this.revoked, name))] as const);
      const [previous, previousStats] = keptStats.find(([, found]) => found !== undefined && !ours.some((each) => isPublished(found, each))) ?? [];
      const published = ours.find((each) => stats !== undefined && isPublished(stats, each));
      if (previous !== undefined && (stats === undefined || published !== undefined)) this.restore(path, previous);
      else if (published !== undefined) this.remove(path, published);
      else if (isJournaled && stats !== undefined && !isRestored(stats, previousStats, keptStats)) this.counts.foreign += 1;
    });
  }

  sync(): void {
    for (const directory of this.touched) directory.sync();
  }

  close(): void {
    this.targets.close();
  }

  private remove(path: PathBytes, ours: Published): void {
    // Never unlinked by its path: moved to where only we look, and looked at there.
    const taken = join(this.revoked, `taken-${ours.inode}`);
    this.at(path, (entry) => fs.renameSync(entry, taken));
    if (isPublished(fs.lstatSync(taken, { bigint: true }), ours)) {
      this.counts.removed += 1;
    } else {
      this.at(path, (entry) => giveBack(taken, entry));
      this.counts.foreign += 1;
    }
    unlinkIfPresent(taken);
  }

  private restore(path: PathBytes, previous: string): void {
    this.at(path, (entry) => fs.renameSync(join(this.revoked, previous), entry));
    this.counts.restored += 1;
  }

  private at<T>(path: PathBytes, calls: (entry: PathBytes) => T): T | undefined {
    const { directory, name } = splitPath(path);
    try {
      const parent = this.targets.get(this.location.root, directory);
      this.touched.add(parent);
      return calls(parent.entry(name));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }
}

/** Somebody else's file, exclusively where it gets a link; one that has as many as it can have goes back by a rename. */
function giveBack(taken: string, entry: PathBytes): void {
  try {
    fs.linkSync(taken, entry);
  } catch (error) {
    if (!isLinkRefused(error)) throw error;
    renameNew(taken, entry, pathText(entry));
  }
}

/** An earlier undo put the previous target back: it lies there, and its kept name is gone or a further link of it. */
function isRestored(stats: fs.BigIntStats, previous: fs.BigIntStats | undefined, kept: readonly (readonly [string, fs.BigIntStats | undefined])[]): boolean {
  return previous === undefined ? kept.some(([, found]) => found === undefined) : isSameInode(stats, previous);
}
