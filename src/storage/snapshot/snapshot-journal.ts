import { parseJson } from '../../core/parse-json';
import type { ChunkOutcome } from '../batch/chunk';
import { readLines, type ChunkReport, type FailedEntry as ReportedFailure } from '../batch/journal';
import type { RunLocation } from '../batch/run-directory';
import { fromJsonPath, pathText, type JsonPath } from '../path-bytes';
import { checksumLine } from './checksum-line';
import type { FailedEntry, FileEntry } from './entry';
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
}

/** What became of a chunk, in the bytes that metadata and SHA256SUMS will have. */
export interface SnapshotJournal {
  readonly outcome: SnapshotOutcome;
  readonly lines: Buffer;
  readonly checksums: Buffer;
}

/** Undefined when the chunk is not done. */
export function readSnapshotJournal(location: RunLocation, chunk: number): SnapshotJournal | undefined {
  const found = readLines(location, chunk);
  if (found === undefined) return undefined;
  const outcome = found.outcome as SnapshotOutcome;
  return { outcome, lines: found.lines.subarray(0, outcome.entriesBytes), checksums: found.lines.subarray(outcome.entriesBytes) };
}

/** The entries of a chunk, in the order of its plan. */
export function journalEntries({ lines }: SnapshotJournal): SnapshotJournalEntry[] {
  return lines
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => parseJson(line) as SnapshotJournalEntry);
}

/** Of files that are in the snapshot. */
export function checksumsOf(entries: readonly SnapshotJournalEntry[]): Buffer {
  return Buffer.concat(entries.flatMap((entry) => (entry.state === 'copied' || entry.state === 'unchanged' ? [checksumLine(entry.sha256, dataPath(snapshotEntries.data, fromJsonPath(entry.path)))] : [])));
}

/** A chunk's journal as activities report it. */
export function snapshotReport(journal: SnapshotJournal): ChunkReport {
  const { outcome } = journal;
  return { ...outcome, failed: outcome.counts.failed === 0 ? [] : journalEntries(journal).flatMap(failureAt) };
}

function failureAt(entry: SnapshotJournalEntry, index: number): ReportedFailure[] {
  if (entry.state !== 'failed') return [];
  const path = pathText(fromJsonPath(entry.path));
  return [{ index, source: path, target: path, isText: typeof entry.path === 'string', failure: entry.failure }];
}
