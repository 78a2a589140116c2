import { absoluteBelowRoot, failure, inode, nanoseconds, readFrom, relative, sha256 } from '../records/fields';
import { flag, nullable, objectOf, oneOf, optional, text, wholeNumber, type Shape } from '../records/shape';
import type { ChunkOutcome, JournalEntry } from './chunk';

const count = wholeNumber();

/** What outcomes of all kinds of chunks have in common. */
export const outcomeFields = {
  pass: count,
  counts: objectOf<ChunkOutcome['counts']>({ backedUp: count, unchanged: count, failed: count }),
  sizeBytes: count,
  unchangedBytes: count,
  changed: count,
  verifiedFrom: nullable(readFrom),
};

/** The first line of a journal. */
export const chunkOutcome: Shape<ChunkOutcome> = objectOf<ChunkOutcome>(outcomeFields);

/** Undo moves what it names: nothing but a file in the chunk's own folder of kept ones. */
const keptFile = text(1200, /^kept-\d+\/[\w-]+-\d+$/);

/** A line for each file. */
export const journalEntry: Shape<JournalEntry> = objectOf<JournalEntry>({
  source: absoluteBelowRoot,
  target: relative,
  state: oneOf('backedUp', 'unchanged', 'failed'),
  sizeBytes: count,
  sha256: optional(sha256),
  mtimeNs: optional(nanoseconds),
  ctimeNs: optional(nanoseconds),
  inode: optional(inode),
  targetInode: optional(inode),
  targetMtimeNs: optional(nanoseconds),
  changed: optional(flag),
  failure: optional(failure),
  kept: optional(keptFile),
});
