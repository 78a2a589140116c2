import * as fs from 'node:fs';
import { StorageError } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { fromJsonPath, joinPath, type PathBytes } from '../path-bytes';
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

/** Where a line of a manifest is: which one, and where in it, as one number. */
const MANIFESTS = 1024;

interface OpenManifest {
  readonly path: string;
  readonly descriptor: number;
}

/**
 * What the destination's last runs know of its files, the newest word on each. Older manifests are read only when a target
 * is there that the newer ones do not know: lists may take turns in one directory. Only positions are kept in memory; a line
 * is read again when its target is asked for. They are only a help: one that is not as a run writes it is no help, and
 * files are copied.
 */
export class LastRun {
  private readonly places = new SeenPaths();
  /** Those that were read so far; undefined where one is no help, or was removed meanwhile. */
  private readonly opened: (OpenManifest | undefined)[] = [];

  private constructor(
    private readonly destination: string,
    /** Newest first. */
    private readonly manifests: readonly string[],
  ) {
    this.readNext();
  }

  /** Undefined when there is no earlier run. */
  static open({ destination }: RunLocation): LastRun | undefined {
    const manifests = manifestsIn(runsDirectory({ destination })).slice(0, MANIFESTS);
    return manifests.length === 0 ? undefined : new LastRun(destination, manifests);
  }

  find(target: PathBytes): KnownState | undefined {
    const known = this.lookUp(target);
    if (known !== undefined || this.isComplete || lstatIfPresent(joinPath(this.destination, target)) === undefined) return known && knownState(known);
    while (!this.isComplete) {
      this.readNext();
      const older = this.lookUp(target);
      if (older !== undefined) return knownState(older);
    }
    return undefined;
  }

  close(): void {
    for (const one of this.opened) if (one !== undefined) fs.closeSync(one.descriptor);
  }

  private get isComplete(): boolean {
    return this.opened.length === this.manifests.length;
  }

  private lookUp(target: PathBytes): JournalEntry | undefined {
    const place = this.places.get(target);
    const one = place === undefined ? undefined : this.opened[place % MANIFESTS];
    if (place === undefined || one === undefined) return undefined;
    const entry = unlessAltered(() => parseOwn(lineAt(one.descriptor, Math.floor(place / MANIFESTS)), journalEntry, (why) => alteredRun(one.path, why)));
    return entry !== undefined && Buffer.from(fromJsonPath(entry.target)).equals(Buffer.from(target)) ? entry : undefined;
  }

  private readNext(): void {
    const number = this.opened.length;
    this.opened.push(unlessAltered(() => this.read(this.manifests[number] ?? '', number)));
  }

  private read(path: string, number: number): OpenManifest {
    const { descriptor } = openOwnFile(path, manifest);
    try {
      for (const { offset, value } of ownLines(descriptor, path, manifest)) this.places.add(fromJsonPath(value.target), offset * MANIFESTS + number);
      return { path, descriptor };
    } catch (error) {
      fs.closeSync(descriptor);
      throw error;
    }
  }
}

/** Records of old runs are removed when a run ends. */
function unlessAltered<T>(calls: () => T): T | undefined {
  try {
    return calls();
  } catch (error) {
    if (error instanceof StorageError && ['RunAltered', 'ENOENT'].includes(error.code)) return undefined;
    throw error;
  }
}

function knownState({ sizeBytes, mtimeNs, ctimeNs, inode, sha256, targetInode, targetMtimeNs, changed }: JournalEntry): KnownState | undefined {
  if (changed === true || mtimeNs === undefined || ctimeNs === undefined || inode === undefined || sha256 === undefined || targetInode === undefined || targetMtimeNs === undefined) return undefined;
  return { sizeBytes, mtimeNs, ctimeNs, inode, sha256, targetInode, targetMtimeNs };
}

/** Newest first. */
function manifestsIn(directory: string): string[] {
  const manifests = namesIn(directory).map((run) => `${directory}/${run}/${runEntries.manifest}`);
  const dated = manifests.flatMap((path) => {
    const stats = fs.lstatSync(path, { throwIfNoEntry: false });
    return stats?.isFile() === true ? [{ path, mtimeMs: stats.mtimeMs }] : [];
  });
  return dated.sort((a, b) => b.mtimeMs - a.mtimeMs).map(({ path }) => path);
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
