import type { ChunkOutcome } from '../batch/chunk';
import { parseEach, readJournal, type ChunkReport, type FailedEntry as ReportedFailure } from '../batch/journal';
import { outcomeFields } from '../batch/journal-shape';
import type { RunLocation } from '../batch/run-directory';
import { alteredRun } from '../batch/run-proof';
import { fromJsonPath, pathText, type JsonPath } from '../path-bytes';
import { absoluteBelowRoot } from '../records/fields';
import { arrayOf, objectOf, oneOf, optional, text, wholeNumber, type Shape } from '../records/shape';
import { checksumLine } from './checksum-line';
import { damagedCopies, type DamagedCopies } from './damaged-copies';
import type { FailedEntry, FileEntry } from './entry';
import { failedEntry, fileEntry } from './entry-shape';
import { dataPath } from './incoming-data';
import { snapshotEntries } from './snapshot-record';

/** A file that was gone when its turn came: it is not in the snapshot. */
export interface VanishedEntry {
  readonly path: JsonPath;
  readonly type: 'file';
  readonly state: 'vanished';
}

/** A line of a chunk's journal: what becomes a line of the snapshot's metadata, but for what vanished. */
export type SnapshotJournalEntry = FileEntry | FailedEntry | VanishedEntry;

/** The first line of a chunk's journal. Then come a line for each file, and the lines of SHA256SUMS for those that are in the snapshot. */
export interface SnapshotOutcome extends ChunkOutcome {
  /** Whose staged files the chunk's copies are: one that is not in its place yet is there. */
  readonly attemptName: string;
  /** Where the lines of SHA256SUMS begin, counted from the end of the first line. */
  readonly entriesBytes: number;
  readonly newFiles: number;
  readonly vanished: number;
  readonly notKept: readonly string[];
  /** Copies of the parent that were not as it says. Absent in journals of earlier programs. */
  readonly damaged?: DamagedCopies;
}

/** What became of a chunk, in the bytes that metadata and SHA256SUMS will have. */
export interface SnapshotJournal {
  readonly outcome: SnapshotOutcome;
  readonly lines: Buffer;
  readonly checksums: Buffer;
  /** What proves it; undefined in a run that has no proof. */
  readonly tag: string | undefined;
  readonly path: string;
}

/** Copies are looked for in the attempt's directory, which is removed then: a name, and nothing that leads elsewhere. */
const attemptName = text(1100, /^[\w-]+$/);

export const snapshotOutcome: Shape<SnapshotOutcome> = objectOf<SnapshotOutcome>({
  ...outcomeFields,
  attemptName,
  entriesBytes: wholeNumber(),
  newFiles: wholeNumber(),
  vanished: wholeNumber(),
  notKept: arrayOf(text(100), 100),
  damaged: optional(damagedCopies),
});

const vanishedEntry = objectOf<VanishedEntry>({ path: absoluteBelowRoot, type: oneOf('file'), state: oneOf('vanished') });

const entryOfJournal: Shape<SnapshotJournalEntry> = (value) => {
  const { state } = (value ?? {}) as Partial<SnapshotJournalEntry>;
  if (state === 'failed') return failedEntry(value);
  return state === 'vanished' ? vanishedEntry(value) : fileEntry(value);
};

/** Undefined when the chunk is not done. @throws StorageError `RunAltered` for one that this run has not written, errno names */
export function readSnapshotJournal(location: RunLocation, chunk: number): SnapshotJournal | undefined {
  const found = readJournal(location, chunk, snapshotOutcome);
  if (found === undefined) return undefined;
  const { outcome, lines, tag, path } = found;
  if (outcome.entriesBytes > lines.length) throw alteredRun(path, 'breaks off');
  return { outcome, lines: lines.subarray(0, outcome.entriesBytes), checksums: lines.subarray(outcome.entriesBytes), tag, path };
}

/** The entries of a chunk, in the order of its plan. @throws StorageError `RunAltered` */
export function journalEntries({ lines, path }: Pick<SnapshotJournal, 'lines' | 'path'>): SnapshotJournalEntry[] {
  return parseEach(lines, path, entryOfJournal);
}

/** Of files that are in the snapshot. */
export function checksumsOf(entries: readonly SnapshotJournalEntry[]): Buffer {
  return Buffer.concat(entries.flatMap((entry) => (entry.state === 'copied' || entry.state === 'unchanged' ? [checksumLine(entry.sha256, dataPath(snapshotEntries.data, fromJsonPath(entry.path)))] : [])));
}

/** A chunk's journal as activities report it. */
export function snapshotReport(journal: SnapshotJournal): ChunkReport {
  const { outcome, tag } = journal;
  return { ...outcome, failed: outcome.counts.failed === 0 ? [] : journalEntries(journal).flatMap(failureAt), journalTag: tag };
}

function failureAt(entry: SnapshotJournalEntry, index: number): ReportedFailure[] {
  if (entry.state !== 'failed') return [];
  const path = pathText(fromJsonPath(entry.path));
  return [{ index, source: path, target: path, isText: typeof entry.path === 'string', failure: entry.failure }];
}
