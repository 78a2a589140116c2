import type { EntryFailure } from '../batch/chunk';
import { failureOf } from '../batch/chunk-file';
import { StorageError } from '../errors';
import { toJsonPath, type PathBytes } from '../path-bytes';
import type { FileEntry } from './entry';
import type { PlannedFile } from './snapshot-plan';
import type { SnapshotJournalEntry } from './snapshot-journal';

/** One file of a chunk on its way from plan to journal. */
export class SnapshotFile {
  entry: FileEntry | undefined;
  failure: EntryFailure | undefined;
  isGone = false;
  /** Name in the attempt's staging directory; absent when there is no new copy. */
  staged: string | undefined;
  /** It shares its blocks with a copy of an earlier snapshot, and was read back already. */
  isClone = false;
  /** What an earlier pass has done with. */
  settled: SnapshotJournalEntry | undefined;

  constructor(readonly planned: PlannedFile) {}

  get path(): PathBytes {
    return this.planned.path;
  }

  /** Wrong with this file alone; one that is no more there is not even wrong, unless the error says why. */
  fail(error: unknown): void {
    this.entry = undefined;
    this.staged = undefined;
    this.isClone = false;
    if (error instanceof StorageError && error.side === 'source' && error.code === 'ENOENT') this.isGone = true;
    else this.failure = failureOf(error);
  }

  journalEntry(): SnapshotJournalEntry {
    if (this.settled !== undefined) return this.settled;
    const path = toJsonPath(this.path);
    if (this.entry !== undefined) return this.entry;
    if (this.failure === undefined) return { path, type: 'file', state: 'vanished' };
    return { path, type: 'file', state: 'failed', failure: this.failure };
  }
}
