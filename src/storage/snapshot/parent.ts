import * as fs from 'node:fs';
import { join } from 'node:path';
import type { FileEntry } from './entry';
import { isBelowKey, orderKey } from './entry-order';
import { findParents } from './find-parents';
import { ifHelpful } from './if-helpful';
import type { Found } from './found';
import { openSnapshot, type OpenSnapshot, type ReadEntry } from './metadata';
import { MovedFiles } from './moved-files';
import { findSnapshot, snapshotEntries } from './snapshot-record';

/** Which snapshots files may be known from: found source by source, none, or the one that a person means. */
export type ParentChoice = 'auto' | 'none' | (string & {});

export interface ParentsRequest {
  readonly repository: string;
  readonly host: string;
  /** As they are walked through. */
  readonly sources: readonly string[];
  readonly parent?: ParentChoice | undefined;
}

/** What a snapshot says of a file, perhaps under another path. */
export interface KnownFile {
  readonly entry: FileEntry;
  /** Place of the snapshot among the `names` of the parents. */
  readonly from: number;
}

/**
 * The snapshots before, for a walk that comes by in the order of their entries. Partial ones may be among them: what failed
 * in one has no digest, and so cannot pass for unchanged.
 */
export class Parents {
  /** Those that files are known from, as they were first met. */
  readonly names: string[] = [];
  private readonly counts = new Map<string, number>();
  private current: SourceParents | undefined;

  private constructor(
    private readonly sources: readonly SourceParents[],
    private readonly moved: readonly MovedFiles[] = [],
  ) {}

  /** @throws StorageError for a named one: `SnapshotNotFound`, `SnapshotDamaged`, errno names */
  static find({ repository, host, sources, parent = 'auto' }: ParentsRequest): Parents {
    if (parent === 'none') return new Parents([]);
    if (parent !== 'auto') return new Parents(assigned(sources, [new Parent(repository, openSnapshot(repository, findSnapshot(repository, parent)))]));
    const opened = new Map<string, Parent>();
    const asked = (name: string): Parent => {
      const known = opened.get(name) ?? new Parent(repository, name);
      opened.set(name, known);
      return known;
    };
    const { ofSources, recent } = findParents(repository, { host, sources });
    return new Parents(sources.map((source, index) => ({ key: orderKey(source), parents: (ofSources[index] ?? []).map(asked) })), recent.map((name) => new MovedFiles(repository, name)));
  }

  /** Name of the one that most files are known from, or would be asked first; null without any. */
  get main(): string | null {
    const [most] = [...this.counts].sort(([, a], [, b]) => b - a)[0] ?? [];
    return most ?? this.sources.flatMap(({ parents }) => parents).find((parent) => parent.isUsable)?.name ?? null;
  }

  /**
   * What is known of a file. Older snapshots are asked only for what was there, as it is now, when the newer one was
   * written, or failed in it: not for what is new since. What is nowhere by its path may be there by another one. Asked in
   * the order of the entries.
   */
  knownFile(found: Found): KnownFile | undefined {
    const key = orderKey(found.path);
    let hasFailed = false;
    for (const parent of this.parentsOf(key)) {
      if (!parent.isUsable) continue;
      const { entry, isFailed } = parent.ask(key);
      if (entry !== undefined) return { entry, from: this.note(parent.name) };
      if (!isFailed && found.stats.ctimeNs > parent.writtenNs) return undefined;
      hasFailed ||= isFailed;
    }
    // What fails every night has not moved, and is no reason to read all of a snapshot.
    return hasFailed ? undefined : this.movedFile(found);
  }

  close(): void {
    for (const { parents } of this.sources) parents.forEach((parent) => parent.close());
    this.moved.forEach((snapshot) => snapshot.close());
  }

  private movedFile(found: Found): KnownFile | undefined {
    for (const snapshot of this.moved) {
      const entry = snapshot.find(found);
      if (entry !== undefined) return { entry, from: this.note(snapshot.name) };
    }
    return undefined;
  }

  private parentsOf(key: string): readonly Parent[] {
    if (this.current === undefined || !isAtOrBelowKey(this.current.key, key)) this.current = this.sources.find((source) => isAtOrBelowKey(source.key, key));
    return this.current?.parents ?? [];
  }

  private note(name: string): number {
    const count = this.counts.get(name) ?? 0;
    this.counts.set(name, count + 1);
    if (count === 0) this.names.push(name);
    return this.names.indexOf(name);
  }
}

interface SourceParents {
  readonly key: string;
  readonly parents: readonly Parent[];
}

function assigned(sources: readonly string[], parents: readonly Parent[]): SourceParents[] {
  return sources.map((source) => ({ key: orderKey(source), parents }));
}

function isAtOrBelowKey(directory: string, key: string): boolean {
  return key === directory || isBelowKey(directory, key);
}

/** One snapshot before, opened when it is first asked. */
class Parent {
  readonly name: string;
  private snapshot: OpenSnapshot | undefined;
  private entries: Generator<ReadEntry, undefined> | undefined;
  private current: ReadEntry | undefined;
  /** The last entry that failed: nothing is known of what is below it. */
  private failed: string | undefined;
  private isDamaged = false;
  private writtenAtNs: bigint | undefined;

  /** @param snapshot its name, or the snapshot itself where it has to be there */
  constructor(
    private readonly repository: string,
    snapshot: string | OpenSnapshot,
  ) {
    this.name = typeof snapshot === 'string' ? snapshot : snapshot.name;
    if (typeof snapshot !== 'string') this.snapshot = snapshot;
  }

  /** Opens it. One that is damaged, or was removed since the names were read, is no harm: there are others, and the sources. */
  get isUsable(): boolean {
    if (this.entries === undefined && !this.isDamaged) this.open();
    return this.entries !== undefined;
  }

  /** When its metadata was written, by the clock that stamps files. */
  get writtenNs(): bigint {
    return this.writtenAtNs ?? 0n;
  }

  /** The file's entry, or that it failed here, itself or a directory above it. */
  ask(key: string): { readonly entry?: FileEntry; readonly isFailed: boolean } {
    while (this.current !== undefined && this.current.key < key) this.advance();
    const entry = this.current?.key === key ? this.current.entry : undefined;
    if (entry?.type === 'file' && entry.state !== 'failed') return { entry, isFailed: false };
    return { isFailed: entry?.state === 'failed' || (this.failed !== undefined && isBelowKey(this.failed, key)) };
  }

  close(): void {
    this.entries?.return(undefined);
  }

  private open(): void {
    this.unlessNoHelp(() => {
      this.snapshot ??= openSnapshot(this.repository, this.name);
      this.writtenAtNs = fs.lstatSync(join(this.snapshot.directory, snapshotEntries.metadata), { bigint: true }).ctimeNs;
      this.entries = this.snapshot.entries();
      this.advance();
    });
  }

  private advance(): void {
    if (this.current?.entry.state === 'failed') this.failed = this.current.key;
    this.unlessNoHelp(() => {
      this.current = this.entries?.next().value;
    });
  }

  private unlessNoHelp(calls: () => void): void {
    ifHelpful(calls, () => {
      this.isDamaged = true;
      this.current = undefined;
      this.entries = undefined;
    });
  }
}
