import * as fs from 'node:fs';
import { parseJson } from '../../core/parse-json';
import { fromJsonPath, type PathBytes } from '../path-bytes';
import { namesIn } from '../staging';
import type { JournalEntry } from './chunk';
import { splitLines } from './lines';
import type { KnownState } from './plan';
import { runEntries, runsDirectory, type RunLocation } from './run-directory';
import { SeenPaths } from './seen-paths';

/**
 * What the destination's last run knows of its files. Only positions are kept in memory; a line is read again when its
 * target is asked for.
 */
export class LastRun {
  private readonly offsets = new SeenPaths();

  private constructor(private readonly descriptor: number) {
    for (const { offset, line } of splitLines(descriptor)) this.offsets.add(fromJsonPath((parseJson(line) as JournalEntry).target), offset);
  }

  /** Undefined when there is no earlier run. */
  static open({ destination }: RunLocation): LastRun | undefined {
    const path = newestManifest(runsDirectory({ destination }));
    return path === undefined ? undefined : new LastRun(fs.openSync(path, 'r'));
  }

  find(target: PathBytes): KnownState | undefined {
    const offset = this.offsets.get(target);
    if (offset === undefined) return undefined;
    const entry = parseJson(lineAt(this.descriptor, offset)) as JournalEntry;
    if (!Buffer.from(fromJsonPath(entry.target)).equals(Buffer.from(target))) return undefined;
    return knownState(entry);
  }

  close(): void {
    fs.closeSync(this.descriptor);
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

/** Longer than any line: two paths, escaped or in base64, and a few numbers. */
const MAX_LINE_BYTES = 64 * 1024;
const lineBuffer = Buffer.allocUnsafe(MAX_LINE_BYTES);

function lineAt(descriptor: number, offset: number): string {
  const count = fs.readSync(descriptor, lineBuffer, 0, 2048, offset);
  const end = lineBuffer.subarray(0, count).indexOf(0x0a);
  if (end >= 0) return lineBuffer.toString('utf8', 0, end);
  const more = fs.readSync(descriptor, lineBuffer, 0, MAX_LINE_BYTES, offset);
  return lineBuffer.toString('utf8', 0, lineBuffer.subarray(0, more).indexOf(0x0a));
}
