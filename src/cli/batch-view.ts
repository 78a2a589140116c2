import { doneSoFar, type LiveBatchProgress } from '../client/batch-progress';
import { PLANNING_STEPS } from '../core/names';
import { workOf, type RateMeter } from '../core/rate-meter';

/** A batch as a person wants to see it: the object of a `status` line with `--json`. */
export interface BatchView {
  readonly state: LiveBatchProgress['state'];
  readonly totalFiles: number;
  readonly doneFiles: number;
  readonly failedFiles: number;
  readonly unchangedFiles: number;
  readonly totalBytes: number;
  readonly doneBytes: number;
  /** 0 to 1. */
  readonly fraction: number;
  readonly bytesPerSecond: number;
  readonly remainingMs: number | undefined;
  readonly currentFiles: readonly string[];
  readonly waitingFor: string | null;
  /** What the copies need, and what was free before the first of them. */
  readonly room?: LiveBatchProgress['room'];
}

export function batchView(progress: LiveBatchProgress, meter: RateMeter, atMs: number): BatchView {
  const { files, sizeBytes } = doneSoFar(progress);
  const doneFiles = Math.min(files, progress.files);
  const doneBytes = Math.min(sizeBytes, progress.sizeBytes);
  const all = workOf(progress);
  const { bytesPerSecond, remainingMs } = meter.measure({ atMs, files: doneFiles, sizeBytes: doneBytes }, progress);
  const [planning] = progress.underWay.filter(({ step }) => PLANNING_STEPS.includes(step));
  return {
    state: progress.state,
    // While it plans, what it has looked at is all that is known.
    totalFiles: progress.files || (planning?.files ?? 0),
    doneFiles,
    failedFiles: progress.failed,
    unchangedFiles: progress.unchanged,
    totalBytes: progress.sizeBytes,
    doneBytes,
    fraction: all === 0 ? 0 : workOf({ files: doneFiles, sizeBytes: doneBytes }) / all,
    bytesPerSecond,
    remainingMs,
    currentFiles: progress.underWay.flatMap(({ path }) => (path === undefined ? [] : [path])),
    waitingFor: progress.waitingFor ?? progress.underWay.find(({ lastFailure }) => lastFailure !== undefined)?.lastFailure ?? null,
    ...(progress.room === undefined ? {} : { room: progress.room }),
  };
}
