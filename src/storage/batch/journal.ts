import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { syncDirectory } from '../directory';
import { isErrno } from '../errors';
import { unlinkIfPresent } from '../staging';
import type { ChunkOutcome, EntryFailure, JournalEntry } from './chunk';
import { fromJsonPath, pathText } from '../path-bytes';
import { outcomeOf } from './outcome';
import { journalName, runDirectory, runEntries, type RunLocation } from './run-directory';

/**
 * Writes what became of a chunk, at once and for good: its presence means that the chunk is done. First line the sums,
 * then a line for each file.
 */
export function writeJournal(location: RunLocation, chunk: number, outcome: ChunkOutcome, entries: readonly JournalEntry[]): void {
  const directory = `${runDirectory(location)}/${runEntries.journal}`;
  const draft = `${directory}/.${randomUUID()}`;
  const lines = [JSON.stringify(outcome), ...entries.map((entry) => JSON.stringify(entry))];
  const text = `${lines.join('\n')}\n`;
  try {
    writeDraft(draft, text);
  } catch (error) {
    if (!isErrno(error, 'ENOSPC', 'EDQUOT')) throw error;
    // The disk is full of backups: what was set aside for this is enough to say so.
    unlinkIfPresent(`${runDirectory(location)}/${runEntries.reserve}`);
    writeDraft(draft, text);
  }
  fs.renameSync(draft, `${directory}/${journalName(chunk)}`);
  syncDirectory(directory);
}

function writeDraft(path: string, text: string): void {
  try {
    fs.writeFileSync(path, text, { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    unlinkIfPresent(path);
    throw error;
  }
}

/** The sums of a chunk that is done, or undefined. */
export function readOutcome(location: RunLocation, chunk: number): ChunkOutcome | undefined {
  const text = readIfPresent(location, chunk);
  return text === undefined ? undefined : (JSON.parse(text.slice(0, text.indexOf('\n'))) as ChunkOutcome);
}

export function readEntries(location: RunLocation, chunk: number): JournalEntry[] {
  const lines = (readIfPresent(location, chunk) ?? '').split('\n').slice(1);
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as JournalEntry);
}

function readIfPresent(location: RunLocation, chunk: number): string | undefined {
  try {
    return fs.readFileSync(`${runDirectory(location)}/${runEntries.journal}/${journalName(chunk)}`, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** A file of a chunk that failed, by its place in the chunk. */
export interface FailedEntry {
  readonly index: number;
  readonly source: string;
  readonly target: string;
  readonly failure: EntryFailure;
}

/** The sums of a chunk with its failures. */
export interface ChunkReport extends ChunkOutcome {
  readonly failed: readonly FailedEntry[];
}

/** What is known of a chunk that is done; undefined when it is not. */
export function readReport(location: RunLocation, chunk: number): ChunkReport | undefined {
  const outcome = readOutcome(location, chunk);
  if (outcome === undefined) return undefined;
  return { ...outcome, failed: outcome.counts.failed === 0 ? [] : failedEntries(readEntries(location, chunk)) };
}

export function failedEntries(entries: readonly JournalEntry[]): FailedEntry[] {
  return entries.flatMap(({ source, target, failure }, index) =>
    failure === undefined ? [] : [{ index, source: pathText(fromJsonPath(source)), target: pathText(fromJsonPath(target)), failure }],
  );
}

/** What became of a file that was tried again by itself. */
export interface Amendment {
  readonly index: number;
  readonly entry: Partial<JournalEntry> & Pick<JournalEntry, 'state'>;
}

/** Writes a chunk's journal anew with what became of files that were tried again. Repeated, it changes nothing more. */
export function amendJournal(location: RunLocation, chunk: number, amendments: readonly Amendment[]): ChunkReport {
  const outcome = readOutcome(location, chunk);
  const entries = readEntries(location, chunk);
  for (const { index, entry } of amendments) {
    const before = entries[index];
    if (before === undefined) continue;
    entries[index] = { ...before, failure: undefined, ...entry };
  }
  const amended = outcomeOf(entries, outcome?.verifiedFrom ?? null, outcome?.createdDirectories ?? []);
  writeJournal(location, chunk, amended, entries);
  return { ...amended, failed: failedEntries(entries) };
}
