import * as fs from 'node:fs';
import { StorageError } from '../errors';
import { fromJsonPath, type PathBytes } from '../path-bytes';
import { MAX_LINE_BYTES } from '../records/lines';
import { openOwnFile, ownLines, readRange, parseOwn, type OwnRecord } from '../records/own-file';
import { namesIn } from '../staging';
import type { JournalEntry } from './chunk';
import { journalEntry } from './journal-shape';
import type { KnownState } from './plan';
import { runEntries, runsDirectory, type RunLocation } from './run-directory';
import { alteredRun } from './run-proof';
import { SeenPaths } from './seen-paths';

const manifest: OwnRecord<JournalEntry> = { side: 'destination', maxBytes: 2 ** 40, shape: journalEntry, refuse: alteredRun };

/**
 * What the destination's last run knows of its files. Only positions are kept in memory; a line is read again when its
 * target is asked for. It is only a help: one that is not as a run writes it is no help, and files are copied.
 */
export class LastRun {
  private readonly offsets = new SeenPaths();

  private constructor(
    private readonly path: string,
    private readonly descriptor: number,
  ) {
    for (const { offset, value } of ownLines(descriptor, path, manifest)) this.offsets.add(fromJsonPath(value.target), offset);
  }

  /** Undefined when there is no earlier run, or its manifest is none. */
  static open({ destination }: RunLocation): LastRun | undefined {
    const path = newestManifest(runsDirectory({ destination }));
    return path === undefined ? undefined : unlessAltered(() => LastRun.read(path));
  }

  private static read(path: string): LastRun {
    const { descriptor } = openOwnFile(path, manifest);
    try {
      return new LastRun(path, descriptor);
    } catch (error) {
      fs.closeSync(descriptor);
      throw error;
    }
  }

  find(target: PathBytes): KnownState | undefined {
    const offset = this.offsets.get(target);
    if (offset === undefined) return undefined;
    const entry = unlessAltered(() => parseOwn(lineAt(this.descriptor, offset), journalEntry, (why) => alteredRun(this.path, why)));
    if (entry === undefined || !Buffer.from(fromJsonPath(entry.target)).equals(Buffer.from(target))) return undefined;
    return knownState(entry);
  }

  close(): void {
    fs.closeSync(this.descriptor);
  }
}

function unlessAltered<T>(calls: () => T): T | undefined {
  try {
    return calls();
  } catch (error) {
    if (error instanceof StorageError && error.code === 'RunAltered') return undefined;
    throw error;
  }
}

function knownState({ sizeBytes, mtimeNs, ctimeNs, inode, sha256, targetInode, targetMtimeNs, changed }: JournalEntry): KnownState | undefined {
  if (changed === true || mtimeNs === undefined || ctimeNs === undefined || inode === undefined || sha256 === undefined || targetInode === undefined || targetMtimeNs === undefined) return undefined;
  return { sizeBytes, mtimeNs, ctimeNs, inode, sha256, targetInode, targetMtimeNs };
}

function newestManifest(directory: string): string | undefined {
  const manifests = namesIn(directory).map((run) => `${directory}/${run}/${runEntries.manifest}`);
  const dated = manifests.flatMap((path) => {
    const stats = fs.lstatSync(path, { throwIfNoEntry: false });
    return stats?.isFile() === true ? [{ path, mtimeMs: stats.mtimeMs }] : [];
  });
  return dated.sort((a, b) => b.mtimeMs - a.mtimeMs)[0]?.path;
}

/** Of most lines. */
const FIRST_READ_BYTES = 2048;

function lineAt(descriptor: number, offset: number): string {
  const data = readRange(descriptor, offset, FIRST_READ_BYTES);
  const end = data.indexOf(0x0a);
  if (end >= 0) return data.toString('utf8', 0, end);
  const more = readRange(descriptor, offset, MAX_LINE_BYTES + 1);
  return more.toString('utf8', 0, Math.max(0, more.indexOf(0x0a)));
}
