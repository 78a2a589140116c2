import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { backUpChunk } from '../../../src/storage/batch/backup-chunk';
import type { ChunkTask } from '../../../src/storage/batch/chunk';
import { removeCreatedDirectories } from '../../../src/storage/batch/created-directories';
import type { ChunkReport } from '../../../src/storage/batch/journal';
import { inspectRun, openRun, type RunGround, type RunOwner } from '../../../src/storage/batch/open-run';
import { planBatch, type Layout } from '../../../src/storage/batch/plan-batch';
import { publishChunk } from '../../../src/storage/batch/publish-chunk';
import { runDirectory, type RunLocation } from '../../../src/storage/batch/run-directory';
import { sealRun, type RunSummary } from '../../../src/storage/batch/seal-run';
import { stageChunk } from '../../../src/storage/batch/stage-chunk';
import type { StagedChunk } from '../../../src/storage/batch/stage-files';
import { revokeRun, undoChunk } from '../../../src/storage/batch/undo-chunk';
import { TransferControl } from '../../../src/storage/control';

const WORKFLOW_ID = 'batch';
const illness = { codes: { source: [], destination: [] }, space: [], isLast: false, mostFailures: 20 };

/** Storage's side of a batch whose files fit into one chunk, step by step. */
export class Run {
  readonly location: RunLocation;
  readonly control: TransferControl;
  private readonly syncEach: boolean;
  private ground: RunGround | undefined;
  private attempts = 0;

  constructor(
    root: string,
    private readonly rollBack: boolean,
    destination = join(root, 'backups'),
    { control = new TransferControl(), syncEach = true } = {},
  ) {
    this.control = control;
    this.syncEach = syncEach;
    this.location = { root, destination, runId: randomUUID() };
  }

  get directory(): string {
    return runDirectory(this.location);
  }

  get owner(): RunOwner {
    return { clusterId: 'cluster', namespace: 'default', workflowId: WORKFLOW_ID, runId: this.location.runId };
  }

  plan(sources: readonly string[], layout: Layout = 'flat'): string | undefined {
    const { owner } = this;
    // As the worker's registry remembers it.
    this.ground ??= inspectRun(this.location);
    openRun({ location: this.location, owner, ground: this.ground, needsHardLinks: this.rollBack });
    return planBatch({ location: this.location, owner, list: { sources }, layout, rehash: false }, this.control).planSha256;
  }

  /** A further attempt at the chunk, in the first pass or a later one. */
  attempt(pass = 0, only: readonly number[] = []): ChunkTask {
    const { location, rollBack: keepPrevious, syncEach } = this;
    this.attempts += 1;
    const settings = { location, sourceRoots: [location.root], verify: 'cache', onSourceChanged: 'fail', keepPrevious, syncEach } as const;
    return { settings, chunk: 0, attemptName: `0-${this.attempts}-test-1`, owner: this.owner, illness, pass, only };
  }

  stage(task: ChunkTask): StagedChunk {
    return stageChunk(task, this.control);
  }

  publish(task: ChunkTask, staged: StagedChunk): ChunkReport {
    return publishChunk(task, staged, this.control);
  }

  run(task = this.attempt()): ChunkReport {
    return this.publish(task, this.stage(task));
  }

  /** As a worker does it. */
  work(task = this.attempt()): ChunkReport {
    return backUpChunk(task, this.control);
  }

  undo(): ReturnType<typeof undoChunk> {
    revokeRun(this.location);
    const undone = undoChunk(this.location, 0);
    removeCreatedDirectories(this.location);
    return undone;
  }

  seal(): RunSummary {
    return sealRun({ location: this.location, chunks: 1, facts: { state: 'failed' }, keepRuns: 30 }, this.control);
  }
}
