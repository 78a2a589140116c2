import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { parseJson } from '../../core/parse-json';
import { syncDirectory } from '../directory';
import { isErrno } from '../errors';
import { unlinkIfPresent } from '../staging';
import type { ChunkOutcome, EntryFailure, JournalEntry } from './chunk';
import { fromJsonPath, pathText } from '../path-bytes';
import { outcomeOf } from './outcome';
import { journalName, runDirectory, runEntries, type RunLocation } from './run-directory';

/**
 * Writes what became of a chunk, at once and for good: its presence means that the chunk is done. First line the sums,
 * then what is known of each file. Of two attempts at once the first one counts.
 * @param durable makes the draft durable, before it gets its name; a sync of this file alone unless the caller knows better
 * @returns false when another attempt has written it already
 */
export function writeJournal(location: RunLocation, chunk: number, outcome: ChunkOutcome, body: Buffer, durable: (draft: string) => void = syncFile): boolean {
  const directory = `${runDirectory(location)}/${runEntries.journal}`;
  const draft = `${directory}/.${randomUUID()}`;
  const data = Buffer.concat([Buffer.from(`${JSON.stringify(outcome)}\n`), body]);
  try {
    writeDraft(draft, data);
  } catch (error) {
    if (!isErrno(error, 'ENOSPC', 'EDQUOT')) throw error;
    // The disk is full of backups: what was set aside for this is enough to say so.
    unlinkIfPresent(`${runDirectory(location)}/${runEntries.reserve}`);
    writeDraft(draft, data);
  }
  try {
    durable(draft);
  } catch (error) {
    unlinkIfPresent(draft);
    throw error;
  }
  const isFirst = giveName(draft, `${directory}/${journalName(chunk)}`, outcome.pass, outcome.pass === 0 ? undefined : readOutcome(location, chunk)?.pass);
  syncDirectory(directory);
  return isFirst;
}

/** The first pass gives the name exclusively, a further one in place of the pass before it. */
function giveName(draft: string, path: string, pass: number, passBefore: number | undefined): boolean {
  if (passBefore !== undefined && passBefore >= pass && pass !== AMENDED) {
    unlinkIfPresent(draft);
    return false;
  }
  try {
    if (passBefore === undefined) fs.linkSync(draft, path);
    else fs.renameSync(draft, path);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    if (!isErrno(error, 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK')) throw error;
    fs.renameSync(draft, path);
  } finally {
    unlinkIfPresent(draft);
  }
  return true;
}

function syncFile(path: string): void {
  const descriptor = fs.openSync(path, 'r');
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

function writeDraft(path: string, data: Buffer): void {
  try {
    fs.writeFileSync(path, data, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    unlinkIfPresent(path);
    throw error;
  }
}

/** The sums of a chunk that is done, or undefined. */
export function readOutcome(location: RunLocation, chunk: number): ChunkOutcome | undefined {
  return readLines(location, chunk)?.outcome;
}

export function readEntries(location: RunLocation, chunk: number): JournalEntry[] {
  const found = readLines(location, chunk);
  return found === undefined ? [] : parseLines(found.lines);
}

/** A chunk's lines as they were written, without the sums; undefined when the chunk is not done. */
export function readLines(location: RunLocation, chunk: number): { readonly outcome: ChunkOutcome; readonly lines: Buffer } | undefined {
  const data = readIfPresent(location, chunk);
  if (data === undefined) return undefined;
  const end = data.indexOf('\n');
  return { outcome: parseJson(data.toString('utf8', 0, end)) as ChunkOutcome, lines: data.subarray(end + 1) };
}

/** A line for each entry. */
export function journalBody(entries: readonly object[]): Buffer {
  return Buffer.from(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
}

/** The entries that are written in lines. */
export function parseLines(lines: Buffer): JournalEntry[] {
  return lines
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => parseJson(line) as JournalEntry);
}

function readIfPresent(location: RunLocation, chunk: number): Buffer | undefined {
  try {
    return fs.readFileSync(`${runDirectory(location)}/${runEntries.journal}/${journalName(chunk)}`);
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
  /** False when one of the names is no text: then it stands here for people only. */
  readonly isText: boolean;
  readonly failure: EntryFailure;
}

/** The sums of a chunk with its failures. */
export interface ChunkReport extends ChunkOutcome {
  readonly failed: readonly FailedEntry[];
}

/** What is known of a chunk that is done; undefined when it is not. */
export function readReport(location: RunLocation, chunk: number): ChunkReport | undefined {
  const found = readLines(location, chunk);
  if (found === undefined) return undefined;
  const { outcome, lines } = found;
  return { ...outcome, failed: outcome.counts.failed === 0 ? [] : failedEntries(parseLines(lines)) };
}

export function failedEntries(entries: readonly JournalEntry[]): FailedEntry[] {
  return entries.flatMap(({ source, target, failure }, index) =>
    failure === undefined ? [] : [{ index, source: pathText(fromJsonPath(source)), target: pathText(fromJsonPath(target)), isText: typeof source === 'string' && typeof target === 'string', failure }],
  );
}

/** What became of a file that was tried again by itself. */
export interface Amendment {
  readonly index: number;
  readonly entry: Partial<Pick<JournalEntry, 'sizeBytes' | 'sha256' | 'changed' | 'failure'>> & Pick<JournalEntry, 'state'>;
}

/** Higher than any pass. */
const AMENDED = 1000;

/** Writes a chunk's journal anew with what became of files that were tried again. Repeated, it changes nothing more. */
export function amendJournal(location: RunLocation, chunk: number, amendments: readonly Amendment[]): ChunkReport {
  const outcome = readOutcome(location, chunk);
  const entries = readEntries(location, chunk);
  for (const { index, entry } of amendments) {
    const before = entries[index];
    if (before === undefined) continue;
    entries[index] = { ...before, failure: undefined, ...entry };
  }
  // Counted as a pass of its own, after which no late attempt can put its journal in this one's place.
  const amended = outcomeOf(AMENDED, entries, outcome?.verifiedFrom ?? null);
  writeJournal(location, chunk, amended, journalBody(entries));
  return { ...amended, failed: failedEntries(entries) };
}
