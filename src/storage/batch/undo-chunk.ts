import * as fs from 'node:fs';
import { join } from 'node:path';
import { blaming, isErrno } from '../errors';
import { isSameInode, lstatIfPresent } from '../file-stat';
import { removeEmptyParents } from '../parents';
import { fromJsonPath, joinPath, pathText, splitPath, type PathBytes } from '../path-bytes';
import { namesIn, unlinkIfPresent } from '../staging';
import { readEntries, readOutcome } from './journal';
import { OpenDirectories } from './open-directories';
import { readChunk } from './plan';
import { keptName, oursName } from './publish-chunk';
import { runDirectory, runEntries, type RunLocation } from './run-directory';

export interface UndoneChunk {
  readonly restored: number;
  readonly removed: number;
  /** Targets that somebody else has written since: they stay. */
  readonly foreign: number;
}

/**
 * The fence of the whole run: renames its staging directory away, so that no chunk that comes late can publish.
 * Doing it twice is harmless.
 */
export function revokeRun(location: RunLocation): void {
  const run = runDirectory(location);
  blaming('destination', run, () => {
    try {
      fs.renameSync(join(run, runEntries.staging), join(run, runEntries.revoked));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  });
}

/**
 * Takes back what a chunk published: restores kept previous targets, removes targets that are new, and leaves what is
 * not ours by now. Goes by the journal, and for a chunk that published without getting to it, by what its attempts staged.
 * Repeated, it finds its work done.
 */
export function undoChunk(location: RunLocation, chunk: number): UndoneChunk {
  const undo = new Undo(location);
  try {
    for (const { target, kept, targetInode, targetMtimeNs, state } of readEntries(location, chunk)) {
      if (state === 'backedUp' && targetInode !== undefined) undo.one(fromJsonPath(target), kept, { inode: targetInode, mtimeNs: targetMtimeNs });
    }
    if (readOutcome(location, chunk) === undefined) undo.unjournaled(chunk);
    undo.sync();
    removeEmptyParents(location.root, readOutcome(location, chunk)?.createdDirectories ?? []);
    return undo.counts;
  } finally {
    undo.close();
  }
}

/** What tells a target that this run published from anybody else's. */
interface Published {
  readonly inode: string;
  readonly mtimeNs: string | undefined;
}

function isPublished(stats: fs.BigIntStats, { inode, mtimeNs }: Published): boolean {
  return String(stats.ino) === inode && (mtimeNs === undefined || String(stats.mtimeNs) === mtimeNs);
}

class Undo {
  readonly counts = { restored: 0, removed: 0, foreign: 0 };
  private readonly targets = new OpenDirectories('destination');
  private readonly touched = new Set<ReturnType<OpenDirectories['get']>>();
  private readonly revoked: string;

  constructor(private readonly location: RunLocation) {
    this.revoked = join(runDirectory(location), runEntries.revoked);
  }

  one(target: PathBytes, kept: string | undefined, ours: Published): void {
    const path = joinPath(this.location.destination, target);
    blaming('destination', pathText(path), () => {
      const stats = this.at(path, (entry) => lstatIfPresent(entry));
      if (kept === undefined) this.remove(path, stats, ours);
      else this.restore(path, stats, kept, ours);
    });
  }

  /** Attempts that published but did not get to write the journal still have their staged links, or kept files. */
  unjournaled(chunk: number): void {
    const run = runDirectory(this.location);
    const { entries } = readChunk(join(run, runEntries.plan), join(run, runEntries.index), chunk);
    for (const attempt of namesIn(this.revoked).filter((name) => name.startsWith(`${chunk}-`))) {
      for (const [index, { target }] of entries.entries()) {
        const staged = lstatIfPresent(join(this.revoked, attempt, String(index)));
        const kept = keptName(attempt, String(index));
        const ours = staged ?? lstatIfPresent(join(this.revoked, oursName(kept)));
        if (ours !== undefined) this.one(target, lstatIfPresent(join(this.revoked, kept)) === undefined ? undefined : kept, { inode: String(ours.ino), mtimeNs: String(ours.mtimeNs) });
      }
    }
  }

  sync(): void {
    for (const directory of this.touched) directory.sync();
  }

  close(): void {
    this.targets.close();
  }

  private remove(path: PathBytes, stats: fs.BigIntStats | undefined, ours: Published): void {
    if (stats === undefined) return;
    if (!isPublished(stats, ours)) return void (this.counts.foreign += 1);
    // Never unlinked by its path: moved to where only we look, and looked at there.
    const taken = join(this.revoked, `taken-${ours.inode}`);
    this.at(path, (entry) => fs.renameSync(entry, taken));
    if (isPublished(fs.lstatSync(taken, { bigint: true }), ours)) {
      unlinkIfPresent(taken);
      this.counts.removed += 1;
    } else {
      this.at(path, (entry) => fs.linkSync(taken, entry));
      unlinkIfPresent(taken);
      this.counts.foreign += 1;
    }
  }

  private restore(path: PathBytes, stats: fs.BigIntStats | undefined, kept: string, ours: Published): void {
    const previous = join(this.revoked, kept);
    const keptStats = lstatIfPresent(previous);
    if (keptStats === undefined || (stats !== undefined && isSameInode(stats, keptStats))) return;
    if (stats !== undefined && !isPublished(stats, ours)) return void (this.counts.foreign += 1);
    this.at(path, (entry) => fs.renameSync(previous, entry));
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
