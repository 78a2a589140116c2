import type { RunLocation } from '../batch/run-directory';
import { fromJsonPath, pathText, toJsonPath, type PathBytes } from '../path-bytes';
import type { FailedEntry, FileEntry, SnapshotEntry } from './entry';
import { checksumsOf, journalEntries, type SnapshotJournal, type SnapshotJournalEntry } from './snapshot-journal';
import { readTree, type TreeLine } from './snapshot-plan';

const NEWLINE = 0x0a;

/** The lines of one chunk, taken bit by bit in both of their forms. */
export class ChunkLines {
  private readonly lines: Buffer;
  private readonly checksums: Buffer;
  /** Entries, where they are not just one line after the other. */
  private readonly entries: readonly SnapshotJournalEntry[] | undefined;
  private file = 0;
  private at = { lines: 0, checksums: 0 };

  constructor(journal: SnapshotJournal) {
    const { counts, vanished } = journal.outcome;
    this.entries = counts.failed > 0 || vanished > 0 ? journalEntries(journal) : undefined;
    this.lines = journal.lines;
    this.checksums = journal.checksums;
  }

  /** Everything from where it stopped up to the file of that number, in the chunk; to the end without. */
  take(end = Infinity): { readonly lines: Buffer; readonly checksums: Buffer } {
    const { entries } = this;
    if (entries !== undefined) {
      const taken = entries.slice(this.file, end);
      this.file = Math.min(end, entries.length);
      const kept = taken.filter(({ state }) => state !== 'vanished');
      return { lines: Buffer.from(kept.map((entry) => `${JSON.stringify(entry)}\n`).join('')), checksums: checksumsOf(taken) };
    }
    const count = end - this.file;
    this.file = end;
    return { lines: this.cut('lines', count), checksums: this.cut('checksums', count) };
  }

  private cut(what: 'lines' | 'checksums', count: number): Buffer {
    const data = this[what];
    const start = this.at[what];
    const end = count === Infinity ? data.length : afterLines(data, start, count);
    this.at[what] = end;
    return data.subarray(start, end);
  }
}

function afterLines(data: Buffer, start: number, count: number): number {
  let end = start;
  for (let line = 0; line < count && end < data.length; line += 1) end = data.indexOf(NEWLINE, end) + 1;
  return end;
}

/** Files that have several names: what is known of the first one is true for the others. */
export class LinkedFiles {
  private readonly firsts = new Map<number, SnapshotJournalEntry | undefined>();

  constructor(location: RunLocation) {
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

  further(path: PathBytes, firstFile: number, first: PathBytes): FileEntry | FailedEntry {
    const entry = this.firsts.get(firstFile);
    if (entry?.state === 'copied' || entry?.state === 'unchanged') return { ...entry, path: toJsonPath(path), hardLink: entry.path };
    const failure = entry?.state === 'failed' ? entry.failure : { code: 'ENOENT', side: 'source' as const, message: `${pathText(first)}, of which ${pathText(path)} is a further name, was gone when its turn came` };
    return { path: toJsonPath(path), type: 'file', state: 'failed', failure };
  }
}

/** The entry of a line of the plan's tree. */
export function treeEntry(line: TreeLine, links: LinkedFiles): SnapshotEntry {
  return 'entry' in line ? line.entry : links.further(fromJsonPath(line.name), line.firstFile, fromJsonPath(line.first));
}
