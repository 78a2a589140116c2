import { checksumsOf, journalEntries, type SnapshotJournal, type SnapshotJournalEntry } from './snapshot-journal';

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
