import type { ChunkOutcome } from '../batch/chunk';
import { readLines, type ChunkReport, type FailedEntry as ReportedFailure } from '../batch/journal';
import type { RunLocation } from '../batch/run-directory';
import { fromJsonPath, pathText, type JsonPath } from '../path-bytes';
import type { FailedEntry, FileEntry } from './entry';

/** A file that was gone when its turn came: it is not in the snapshot. */
export interface VanishedEntry {
  readonly path: JsonPath;
  readonly type: 'file';
  readonly state: 'vanished';
}

/** A line of a chunk's journal: what becomes a line of the snapshot's metadata, but for what vanished. */
export type SnapshotJournalEntry = FileEntry | FailedEntry | VanishedEntry;

/** The first line of a chunk's journal. */
export interface SnapshotOutcome extends ChunkOutcome {
  /** Whose staged files the chunk's copies are: one that is not in its place yet is there. */
  readonly attemptName: string;
  readonly newFiles: number;
  readonly vanished: number;
  readonly notKept: readonly string[];
}

export interface SnapshotJournal {
  readonly outcome: SnapshotOutcome;
  readonly entries: readonly SnapshotJournalEntry[];
}

/** What became of a chunk, or undefined when it is not done. */
export function readSnapshotJournal(location: RunLocation, chunk: number): SnapshotJournal | undefined {
  const found = readLines(location, chunk);
  if (found === undefined) return undefined;
  const lines = found.lines.toString('utf8').split('\n').filter((line) => line !== '');
  return { outcome: found.outcome as SnapshotOutcome, entries: lines.map((line) => JSON.parse(line) as SnapshotJournalEntry) };
}

/** A chunk's journal as activities report it. */
export function snapshotReport({ outcome, entries }: SnapshotJournal): ChunkReport {
  return { ...outcome, failed: outcome.counts.failed === 0 ? [] : entries.flatMap(failureAt) };
}

function failureAt(entry: SnapshotJournalEntry, index: number): ReportedFailure[] {
  if (entry.state !== 'failed') return [];
  const path = pathText(fromJsonPath(entry.path));
  return [{ index, source: path, target: path, isText: typeof entry.path === 'string', failure: entry.failure }];
}
