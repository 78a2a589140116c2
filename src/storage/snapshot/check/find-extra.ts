import * as fs from 'node:fs';
import { join } from 'node:path';
import type { TransferControl } from '../../control';
import { errnoName } from '../../errors';
import { kindOf, lstatIfPresent } from '../../file-stat';
import { joinPath, pathOf, type PathBytes } from '../../path-bytes';
import type { SnapshotEntry } from '../entry';
import { readEntries, type ReadEntry } from '../metadata';
import { snapshotEntries } from '../snapshot-record';
import { hasCopy, NO_WAY } from './check-entry';
import { OpenBranch } from './open-branch';
import { copyOf, dataPath, problem, type Problem } from './problem';

export interface ExtraRequest {
  readonly repository: string;
  readonly snapshot: string;
  /** Go on after this one: the `next` of the answer before. */
  readonly after: string | null;
  /** Problems that are answered at once. */
  readonly limit: number;
}

export interface ExtraFound {
  readonly problems: readonly Problem[];
  /** Where to go on; null at the end. */
  readonly next: string | null;
}

/**
 * Names everything below a snapshot's data that its metadata does not know, and directories whose names cannot be read.
 * Memory grows with the largest directory, not with the tree.
 * @throws StorageError `Cancelled`, `SnapshotDamaged`, errno names of the metadata itself
 */
export function findExtra(request: ExtraRequest, control: TransferControl): ExtraFound {
  const search = new ExtraSearch(request, control);
  try {
    return search.run();
  } finally {
    search.close();
  }
}

class ExtraSearch {
  private readonly directory: string;
  private readonly branch: OpenBranch;
  private readonly entries: Generator<ReadEntry>;
  private current: ReadEntry | undefined;
  private readonly problems: Problem[] = [];
  private last: string | null = null;

  constructor(
    private readonly request: ExtraRequest,
    private readonly control: TransferControl,
  ) {
    this.directory = join(request.repository, request.snapshot);
    this.branch = new OpenBranch(request.repository);
    this.entries = readEntries(join(this.directory, snapshotEntries.metadata));
    this.advance();
  }

  run(): ExtraFound {
    this.visitDirectory('/', '\0');
    return { problems: this.problems, next: this.isFull ? this.last : null };
  }

  close(): void {
    this.branch.close();
    this.entries.return(undefined);
  }

  private get isFull(): boolean {
    return this.problems.length >= this.request.limit;
  }

  /** Depth first, in the order of the metadata: both are gone through side by side. */
  private visitDirectory(path: PathBytes, key: string): void {
    for (const name of this.namesIn(path, key)) {
      if (this.isFull) return;
      this.control.throwIfCancelled();
      const childKey = key === '\0' ? `\0${name}` : `${key}\0${name}`;
      if (!this.isDone(childKey)) this.visit(joinPath(path, nameOf(name)), childKey);
    }
  }

  private visit(path: PathBytes, key: string): void {
    const entry = this.entryOf(key);
    if (entry !== undefined && hasCopy(entry)) {
      // Whether it is one in fact, the look at the entry says.
      if (entry.type === 'directory') this.visitDirectory(path, key);
      return;
    }
    const stats = this.look(path);
    if (stats === undefined) return;
    // What is in a directory may be known although the directory itself could not be looked at.
    const isKnown = entry?.type === 'directory' && stats.isDirectory();
    if (!isKnown) this.report(key, problem('extra', this.request.snapshot, dataPath(path), 'nothing', kindOf(stats)));
    if (stats.isDirectory()) this.visitDirectory(path, key);
  }

  /** The entry of a key, where there is one. Keys come in order. */
  private entryOf(key: string): SnapshotEntry | undefined {
    while (this.current !== undefined && this.current.key < key) this.advance();
    return this.current?.key === key ? this.current.entry : undefined;
  }

  private advance(): void {
    const next = this.entries.next();
    this.current = next.done === true ? undefined : next.value;
  }

  private isDone(key: string): boolean {
    const { after } = this.request;
    return after !== null && key < after && !after.startsWith(`${key}\0`);
  }

  private report(key: string, found: Problem): void {
    const { after } = this.request;
    if (after !== null && key <= after) return;
    this.problems.push(found);
    this.last = key;
  }

  /** Names as they are sorted, one character a byte: of a huge directory that takes the least memory. */
  private namesIn(path: PathBytes, key: string): string[] {
    try {
      return fs.readdirSync(joinPath(this.branch.inside(copyOf(this.directory, path)), '.'), 'latin1').sort();
    } catch (error) {
      const code = errnoName(error);
      if (code === undefined) throw error;
      if (!NO_WAY.includes(code)) this.report(key, problem('unreadable', this.request.snapshot, dataPath(path), 'names of what is in it', code));
      return [];
    }
  }

  private look(path: PathBytes): fs.BigIntStats | undefined {
    return lstatIfPresent(this.branch.entry(copyOf(this.directory, path)));
  }
}

function nameOf(bytes: string): PathBytes {
  return pathOf(Buffer.from(bytes, 'latin1'));
}
