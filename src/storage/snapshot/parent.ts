import type { FileEntry } from './entry';
import type { Found } from './found';
import { openSnapshot, type ReadEntry } from './metadata';
import { isErrno } from '../errors';
import { futureFirst, readRecord, snapshotNames } from './snapshot-record';

/** Whose snapshots belong together: the parent of a snapshot is one of the same host and sources. */
export interface SnapshotGroup {
  readonly host: string;
  readonly sources: readonly string[];
}

/**
 * The entries of the snapshot before, for a walk that comes by in the same order. A partial one may be it as well: what
 * failed in it has no digest, and so cannot pass for unchanged.
 */
export class Parent {
  private readonly entries: Generator<ReadEntry, undefined>;
  private current: ReadEntry | undefined;

  private constructor(
    readonly name: string,
    repository: string,
  ) {
    this.entries = openSnapshot(repository, name).entries();
    this.advance();
  }

  /** The newest readable snapshot of a group, one that is dated in the future only where there is no other; undefined when there is none. */
  static find(repository: string, group: SnapshotGroup): Parent | undefined {
    for (const name of futureFirst(snapshotNames(repository), Date.now()).reverse()) {
      try {
        const { host, sources } = readRecord(repository, name);
        if (host === group.host && JSON.stringify(sources) === JSON.stringify(group.sources)) return new Parent(name, repository);
      } catch (error) {
        if (!isNoHelp(error)) throw error;
      }
    }
    return undefined;
  }

  /** What is known of a file. Asked in the order of the entries. */
  knownFile(key: string): FileEntry | undefined {
    while (this.current !== undefined && this.current.key < key) this.advance();
    if (this.current?.key !== key) return undefined;
    const { entry } = this.current;
    return entry.type === 'file' && entry.state !== 'failed' ? entry : undefined;
  }

  close(): void {
    this.entries.return(undefined);
  }

  private advance(): void {
    try {
      this.current = this.entries.next().value;
    } catch (error) {
      if (!isNoHelp(error)) throw error;
      this.current = undefined;
    }
  }
}

/** One that is damaged says nothing of the files to come, and its removal since the names were read is no harm: the sources are there. */
export function isNoHelp(error: unknown): boolean {
  return isErrno(error, 'SnapshotDamaged', 'SnapshotNotFound', 'RepositoryUnsupported', 'SourceNotCanonical', 'ENOENT');
}

/**
 * Nothing about the source has changed since its bytes were read. The time of change counts too, since it cannot be set
 * back; an entry that was written to just before it was read proves nothing.
 */
export function isUnchanged(known: FileEntry, { stats }: Found): boolean {
  return (
    known.recent !== true &&
    known.changed !== true &&
    String(stats.ctimeNs) === known.ctimeNs &&
    String(stats.mtimeNs) === known.mtimeNs &&
    Number(stats.size) === known.sizeBytes &&
    String(stats.ino) === known.inode
  );
}
