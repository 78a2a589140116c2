import { syncDirectory } from '../directory';
import { fromJsonPath, pathText } from '../path-bytes';
import { MAX_LINE_BYTES } from '../records/lines';
import { parseOwn, readOwnFile, type OwnFile } from '../records/own-file';
import type { Shape } from '../records/shape';
import type { ChunkOutcome, ChunkTask, EntryFailure, JournalEntry, RunSettings } from './chunk';
import { chunkOutcome, journalEntry } from './journal-shape';
import { missingInRun } from './open-run';
import { journalName, runDirectory, runEntries, type RunLocation } from './run-directory';
import { alteredRun, isTag, tagOf } from './run-proof';

/** What became of a chunk that is done: its sums, and everything else as it was written. */
export interface Journal<Outcome extends ChunkOutcome = ChunkOutcome> {
  readonly outcome: Outcome;
  /** Without the sums. */
  readonly lines: Buffer;
  /** What proves it; undefined in a run that has no proof. */
  readonly tag: string | undefined;
  /** For whoever finds something wrong in a line. */
  readonly path: string;
}

/** A chunk has some thousands of lines. */
const journalFile: OwnFile = { side: 'destination', maxBytes: 256 * 1024 * 1024, refuse: alteredRun };

const TAG_LENGTH = 64;

export function journalPath(location: RunLocation, chunk: number): string {
  return `${runDirectory(location)}/${runEntries.journal}/${journalName(chunk)}`;
}

/** What only this run can have written there: of a run that has a proof. */
export function journalTag({ proof }: RunLocation, chunk: number, outcomeLine: string, body: Buffer): string | undefined {
  return proof && tagOf(proof, journalName(chunk), `${outcomeLine}\n`, body);
}

/**
 * A chunk's journal; undefined when the chunk is not done.
 * @throws StorageError `RunAltered` for one that this run has not written, errno names
 */
export function readJournal<Outcome extends ChunkOutcome>(location: RunLocation, chunk: number, shape: Shape<Outcome>): Journal<Outcome> | undefined {
  const path = journalPath(location, chunk);
  const data = readOwnFile(path, journalFile);
  if (data === undefined) return undefined;
  // The tag first, where there is one: a line that begins an object is the sums of a run without.
  const start = data[0] === 0x7b ? 0 : TAG_LENGTH + 1;
  const tag = data.toString('latin1', 0, Math.max(0, start - 1));
  const end = data.indexOf(0x0a, start);
  if (end < 0 || end - start > MAX_LINE_BYTES) throw alteredRun(path, 'has no first line');
  const line = data.toString('utf8', start, end);
  const lines = data.subarray(end + 1);
  if (data.at(-1) !== 0x0a) throw alteredRun(path, 'breaks off');
  const expected = journalTag(location, chunk, line, lines);
  if (expected !== undefined && !isTag(tag, expected)) throw alteredRun(path, 'has another tag');
  return { outcome: parseOwn(line, shape, (why) => alteredRun(path, `${why} in its first line`)), lines, tag: expected, path };
}

/** Before a step reports by a journal that it finds: the attempt that wrote it may have died before its name was durable. */
export function syncJournals(location: RunLocation): void {
  syncDirectory(`${runDirectory(location)}/${runEntries.journal}`);
}

/** The journal of a chunk of files. @throws as `readJournal` */
export function readLines(location: RunLocation, chunk: number): Journal | undefined {
  return readJournal(location, chunk, chunkOutcome);
}

/**
 * The journal of an earlier pass must be the one that history knows, where it knows one: what a pass has found to be done
 * is not done again. An attempt at the same pass or a later one may have written it anew meanwhile.
 * @throws StorageError `RunAltered`
 */
export function requireJournal({ settings, chunk, pass, journalTag: expected }: ChunkTask<RunSettings>, found: Pick<Journal, 'outcome' | 'tag'> | undefined): void {
  if (expected === undefined || (found !== undefined && (found.outcome.pass >= pass || found.tag === expected))) return;
  const path = journalPath(settings.location, chunk);
  throw found === undefined ? missingInRun(settings.location, path) : alteredRun(path, 'is another one than an earlier pass has written');
}

/** The entries that are written in lines. @throws StorageError `RunAltered` */
export function parseLines({ lines, path }: Pick<Journal, 'lines' | 'path'>): JournalEntry[] {
  return parseEach(lines, path, journalEntry);
}

/** One value a line. @throws StorageError `RunAltered`, naming the number of the line */
export function parseEach<T>(lines: Buffer, path: string, shape: Shape<T>): T[] {
  const each = lines.toString('utf8').split('\n');
  if (each.pop() !== '') throw alteredRun(path, 'breaks off');
  return each.map((line, index) => parseOwn(line, shape, (why) => alteredRun(path, `${why} in line ${index + 1}`)));
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
  /** What proves the chunk's journal, for history; undefined in a run that has no proof. */
  readonly journalTag: string | undefined;
}

/** Of a chunk of a run that is over: the record of the run says what became of it, and no journal does any more. */
export function nothingLeftToDo({ pass }: Pick<ChunkTask<RunSettings>, 'pass'>): ChunkReport {
  return { pass, counts: { backedUp: 0, unchanged: 0, failed: 0 }, sizeBytes: 0, unchangedBytes: 0, changed: 0, verifiedFrom: null, failed: [], journalTag: undefined };
}

/** What is known of a chunk that is done; undefined when it is not. @throws as `readJournal` */
export function readReport(location: RunLocation, chunk: number): ChunkReport | undefined {
  const found = readLines(location, chunk);
  return found && reportOf(found);
}

export function reportOf(journal: Journal): ChunkReport {
  const { outcome, tag } = journal;
  return { ...outcome, failed: outcome.counts.failed === 0 ? [] : failedEntries(parseLines(journal)), journalTag: tag };
}

export function failedEntries(entries: readonly JournalEntry[]): FailedEntry[] {
  return entries.flatMap(({ source, target, failure }, index) =>
    failure === undefined ? [] : [{ index, source: pathText(fromJsonPath(source)), target: pathText(fromJsonPath(target)), isText: typeof source === 'string' && typeof target === 'string', failure }],
  );
}
