import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { syncDirectory } from '../directory';
import { isErrno } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { unlinkIfPresent } from '../staging';
import type { ChunkOutcome, JournalEntry } from './chunk';
import { chunkOutcome } from './journal-shape';
import { failedEntries, journalPath, journalTag, nothingLeftToDo, parseLines, readJournal, readLines, type ChunkReport } from './journal';
import { outcomeOf } from './outcome';
import { isOver, missingInRun } from './open-run';
import { withReserve } from './reserve';
import { runDirectory, runEntries, type RunLocation } from './run-directory';
import { alteredRun } from './run-proof';
import type { Shape } from '../records/shape';

/** What is to be written of a chunk. */
export interface NewJournal<Outcome extends ChunkOutcome> {
  readonly outcome: Outcome;
  readonly shape: Shape<Outcome>;
  /** What follows the sums. */
  readonly body: Buffer;
}

/** What became of a journal that was to be written. */
export interface WrittenJournal {
  /** False when another attempt has written it already. */
  readonly isFirst: boolean;
  readonly tag: string | undefined;
}

/**
 * Writes what became of a chunk, at once and for good: its presence means that the chunk is done. In a run that has a proof,
 * first its tag; then a line with the sums, then what is known of each file. Of two attempts at once the first one counts.
 * @param durable makes the draft durable, before it gets its name; a sync of this file alone unless the caller knows better
 */
export function writeJournal<Outcome extends ChunkOutcome>(location: RunLocation, chunk: number, { outcome, shape, body }: NewJournal<Outcome>, durable: (draft: string) => void = syncFile): WrittenJournal {
  const directory = `${runDirectory(location)}/${runEntries.journal}`;
  const draft = `${directory}/.${randomUUID()}`;
  const line = JSON.stringify(outcome);
  const tag = journalTag(location, chunk, line, body);
  const data = Buffer.concat([Buffer.from(`${tag === undefined ? '' : `${tag}\n`}${line}\n`), body]);
  withReserve(location, () => writeDraft(draft, data));
  try {
    durable(draft);
  } catch (error) {
    unlinkIfPresent(draft);
    throw error;
  }
  const isFirst = giveName(location, draft, journalPath(location, chunk), outcome.pass, outcome.pass === 0 ? undefined : readJournal(location, chunk, shape)?.outcome.pass);
  syncDirectory(directory);
  return { isFirst, tag };
}

/** The first pass gives the name exclusively, a further one in place of the pass before it. */
function giveName(location: RunLocation, draft: string, path: string, pass: number, passBefore: number | undefined): boolean {
  if (passBefore !== undefined && passBefore >= pass && pass !== AMENDED) {
    unlinkIfPresent(draft);
    return false;
  }
  try {
    // A further name may take an inode, as on a tmpfs.
    if (passBefore === undefined) withReserve(location, () => fs.linkSync(draft, path));
    else fs.renameSync(draft, path);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    if (!isErrno(error, 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK')) throw error;
    // History knows the first one by its tag.
    if (lstatIfPresent(path) !== undefined) return false;
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

/** A line for each entry. */
export function journalBody(entries: readonly object[]): Buffer {
  return Buffer.from(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
}

/** What became of a file that was tried again by itself. */
export interface Amendment {
  readonly index: number;
  readonly entry: Partial<Pick<JournalEntry, 'sizeBytes' | 'sha256' | 'changed' | 'failure'>> & Pick<JournalEntry, 'state'>;
}

/** Higher than any pass. */
const AMENDED = 1000;

/**
 * Writes a chunk's journal anew with what became of files that were tried again. Repeated, it changes nothing more.
 * @param expected tag of the journal that is to be amended, as history has it
 * @throws StorageError `RunAltered`
 */
export function amendJournal(location: RunLocation, chunk: number, amendments: readonly Amendment[], expected?: string): ChunkReport {
  if (isOver(location)) return nothingLeftToDo({ pass: AMENDED });
  const found = readLines(location, chunk);
  const isKnown = expected === undefined || (found !== undefined && (found.tag === expected || found.outcome.pass === AMENDED));
  const path = journalPath(location, chunk);
  if (!isKnown) throw found === undefined ? missingInRun(location, path) : alteredRun(path, 'is another one than an earlier pass has written');
  const entries = found === undefined ? [] : parseLines(found);
  for (const { index, entry } of amendments) {
    const before = entries[index];
    if (before === undefined) continue;
    entries[index] = { ...before, failure: undefined, ...entry };
  }
  // Counted as a pass of its own, after which no late attempt can put its journal in this one's place.
  const outcome = outcomeOf(AMENDED, entries, found?.outcome.verifiedFrom ?? null);
  const { tag } = writeJournal(location, chunk, { outcome, shape: chunkOutcome, body: journalBody(entries) });
  return { ...outcome, failed: failedEntries(entries), journalTag: tag };
}
