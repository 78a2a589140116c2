import { OpenDirectories } from '../batch/open-directories';
import type { RunLocation } from '../batch/run-directory';
import { errnoName } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { fromJsonPath, splitPath, type PathBytes } from '../path-bytes';
import type { FileEntry } from './entry';
import { journalEntries, type SnapshotJournal, type SnapshotJournalEntry } from './snapshot-journal';
import { readTree, type FurtherName } from './snapshot-plan';
import { sourceRootOf } from './stage-file-of-snapshot';
import { identityOf, inodeOf } from './walked';

/** Takes a name by itself; see `LateReader`. */
export type TakeName = (path: PathBytes, directory: string | undefined) => SnapshotJournalEntry;

/**
 * Names of files that have several. The plan has put them into groups, but since then any of them may have become another
 * file: so each is looked at when its turn comes. One that is the very file whose bytes were read for the group shares
 * that copy. Any other one is read for itself, and its copy stands for those that are the same file.
 */
export class LinkGroups {
  /** By the number of the file in the plan. */
  private readonly firsts = new Map<number, SnapshotJournalEntry | undefined>();
  /** Of files that were read here, by their identity. */
  private readonly holders = new Map<string, FileEntry>();
  private readonly sources = new OpenDirectories('source');

  constructor(
    location: RunLocation,
    private readonly sourceRoots: readonly string[],
    private readonly take: TakeName,
  ) {
    for (const line of readTree(location)) if ('firstFile' in line) this.firsts.set(line.firstFile, undefined);
  }

  /** @param first number of the chunk's first file */
  note(first: number, journal: SnapshotJournal): void {
    if (this.firsts.size === 0) return;
    const { counts, vanished } = journal.outcome;
    const end = first + counts.backedUp + counts.unchanged + counts.failed + vanished;
    let entries: readonly SnapshotJournalEntry[] | undefined;
    for (let file = first; file < end; file += 1) {
      if (!this.firsts.has(file)) continue;
      entries ??= journalEntries(journal);
      this.firsts.set(file, entries[file - first]);
    }
  }

  /** What becomes of a further name. */
  further(line: FurtherName): SnapshotJournalEntry {
    const path = fromJsonPath(line.name);
    const identity = this.identityNow(path);
    const holder = identity === undefined ? undefined : this.holderOf(line, identity);
    if (holder !== undefined) return { ...holder, path: line.name, hardLink: holder.path };
    const entry = this.take(path, line.d);
    if (identity !== undefined && entry.state === 'copied' && entry.inode === inodeOf(identity)) this.holders.set(identity, entry);
    return entry;
  }

  close(): void {
    this.sources.close();
  }

  private holderOf({ id, firstFile }: FurtherName, identity: string): FileEntry | undefined {
    const first = this.firsts.get(firstFile);
    // As long as this name is the file that was planned, no other one has its number.
    const isFirst = (id === undefined || id === identity) && (first?.state === 'copied' || first?.state === 'unchanged') && first.inode === inodeOf(identity);
    return isFirst ? first : this.holders.get(identity);
  }

  /** Undefined for what cannot be looked at: reading it says why. */
  private identityNow(path: PathBytes): string | undefined {
    const { directory, name } = splitPath(path);
    try {
      const stats = lstatIfPresent(this.sources.get(sourceRootOf(this.sourceRoots, path), directory).entry(name));
      return stats?.isFile() === true ? identityOf(stats) : undefined;
    } catch (error) {
      if (errnoName(error) === undefined) throw error;
      return undefined;
    }
  }
}
