import type { BigIntStats } from 'node:fs';
import { messageOf } from '../../core/error-message';
import { toJsonPath, type PathBytes } from '../path-bytes';
import { StorageError, errnoName } from '../errors';
import type { EntryFailure, FileState, JournalEntry, PlannedFile } from './chunk';

/**
 * One file of a chunk on its way from plan to journal, filled in step by step. A class and not a chain of spread
 * objects: those made up a tenth of the engine's time.
 */
export class ChunkFile<Entry extends PlannedFile = PlannedFile> {
  state: FileState = 'failed';
  sizeBytes = 0;
  sha256: string | undefined;
  changed: boolean | undefined;
  failure: EntryFailure | undefined;
  kept: string | undefined;
  /** Of the source as it was copied; not all of its stats, since a chunk holds thousands of these. */
  sourceState: Pick<BigIntStats, 'mtimeNs' | 'ctimeNs' | 'ino'> | undefined;
  targetInode: string | undefined;
  targetMtimeNs: string | undefined;
  targetExisted = false;
  /** What an earlier pass has done with: it stays as the journal has it. */
  settled: JournalEntry | undefined;
  /** Name in the attempt's staging directory; absent when there is nothing to publish. */
  staged: string | undefined;
  /** Which of the run's staging directories that is: 0 for its own, then its places in their order. */
  place = 0;

  constructor(readonly entry: Entry) {}

  get source(): PathBytes {
    return this.entry.source;
  }

  get target(): PathBytes {
    return this.entry.target;
  }

  /** Wrong with this file alone: it is written down, and the others go on. */
  fail(error: unknown): void {
    this.state = 'failed';
    this.staged = undefined;
    // There is no target of ours that they could describe.
    this.targetInode = undefined;
    this.targetMtimeNs = undefined;
    this.failure = failureOf(error);
  }

  journalEntry(): JournalEntry {
    if (this.settled !== undefined) return this.settled;
    const { state, sizeBytes, sha256, changed, failure, kept, sourceState, targetInode, targetMtimeNs } = this;
    return {
      source: toJsonPath(this.source),
      target: toJsonPath(this.target),
      state,
      sizeBytes,
      sha256,
      mtimeNs: sourceState && String(sourceState.mtimeNs),
      ctimeNs: sourceState && String(sourceState.ctimeNs),
      inode: sourceState && String(sourceState.ino),
      targetInode,
      targetMtimeNs,
      changed,
      failure,
      kept,
    };
  }
}

/** What went wrong with one file, as the journal keeps it. */
export function failureOf(error: unknown): EntryFailure {
  if (error instanceof StorageError) return { code: error.code, side: error.side, message: error.message };
  return { code: errnoName(error) ?? 'UnexpectedError', side: 'destination', message: messageOf(error) };
}
