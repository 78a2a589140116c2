import { randomUUID } from 'node:crypto';
import type { ChunkSettings, ChunkTask } from '../batch/chunk';
import { attemptDirectory, discardAttempt } from '../batch/attempt-directory';
import type { RunOwner } from '../batch/open-run';
import type { TransferControl } from '../control';
import type { PathBytes } from '../path-bytes';
import type { ReadFrom } from '../read-back';
import { dataPath } from './incoming-data';
import type { PlannedSnapshot } from './planned-snapshot';
import { closeStage, moveOne, openStage, verifyAll } from './snapshot-chunk';
import { SnapshotFile } from './snapshot-file';
import type { SnapshotJournalEntry } from './snapshot-journal';
import { stageFileOfSnapshot, type SnapshotStage } from './stage-file-of-snapshot';

/**
 * Takes single files into a snapshot whose chunks are done: names that turn out at the end to need a copy of their own.
 * Each is durable and read back before it gets into its place. Repeated, it takes them again.
 */
export class LateReader {
  private stage: SnapshotStage | undefined;
  private taken = 0;

  /** @param settings of the run's chunks */
  constructor(
    private readonly settings: ChunkSettings,
    private readonly owner: RunOwner,
    private readonly planned: PlannedSnapshot,
    private readonly control: TransferControl,
  ) {}

  /**
   * Copies a file to its place, and answers what became of it, and where it was read back from.
   * @param directory identity of the one that the walk met it in
   * @throws StorageError `Cancelled`, errno names of the run's own files
   */
  take(path: PathBytes, directory: string | undefined): { readonly entry: SnapshotJournalEntry; readonly verifiedFrom: ReadFrom | null } {
    this.stage ??= openStage(this.task(), this.planned, undefined, this.control);
    const file = new SnapshotFile({ path, known: undefined, isUnchanged: false, directory });
    const name = String(this.taken);
    this.taken += 1;
    stageFileOfSnapshot(this.stage, file, name);
    const verifiedFrom = verifyAll(this.stage.task, [file], this.control);
    const entry = file.journalEntry();
    if (entry.state === 'copied') moveOne(`${attemptDirectory(this.stage.task)}/${name}`, dataPath(this.stage.data, path));
    return { entry, verifiedFrom: entry.state === 'copied' ? verifiedFrom : null };
  }

  /** What sources have that is not kept. */
  get notKept(): readonly string[] {
    return [...(this.stage?.notKept ?? [])];
  }

  close(): void {
    if (this.stage === undefined) return;
    closeStage(this.stage);
    discardAttempt(this.stage.task);
  }

  /** Few files: each is synced by itself. */
  private task(): ChunkTask {
    return { settings: { ...this.settings, syncEach: true }, chunk: this.planned.chunks, attemptName: `late-${randomUUID()}`, owner: this.owner, illness: { codes: { source: [], destination: [] }, space: [], isLast: true, mostFailures: 0 }, pass: 0, only: [] };
  }
}
