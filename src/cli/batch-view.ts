import { doneSoFar, type LiveBatchProgress } from '../client/batch-progress';
import type { RateMeter } from './rate-meter';

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
}

/** A small file costs about as much as so many bytes of a large one. */
const BYTES_A_FILE = 16 * 1024;

export function batchView(progress: LiveBatchProgress, meter: RateMeter, atMs: number): BatchView {
  const { files, sizeBytes } = doneSoFar(progress);
  const doneFiles = Math.min(files, progress.files);
  const doneBytes = Math.min(sizeBytes, progress.sizeBytes);
  const work = doneBytes + doneFiles * BYTES_A_FILE;
  const allWork = progress.sizeBytes + progress.files * BYTES_A_FILE;
  const { bytesPerSecond, remainingMs } = meter.measure({ atMs, sizeBytes: doneBytes, work }, allWork - work);
  const [planning] = progress.underWay.filter(({ step }) => step === 'planBatch');
  return {
    state: progress.state,
    // While it plans, what it has looked at is all that is known.
    totalFiles: progress.files || (planning?.files ?? 0),
    doneFiles,
    failedFiles: progress.failed,
    unchangedFiles: progress.unchanged,
    totalBytes: progress.sizeBytes,
    doneBytes,
    fraction: allWork === 0 ? 0 : work / allWork,
    bytesPerSecond: Math.round(bytesPerSecond),
    remainingMs: remainingMs === undefined ? undefined : Math.round(remainingMs),
    currentFiles: progress.underWay.flatMap(({ path }) => (path === undefined ? [] : [path])),
    waitingFor: progress.waitingFor ?? progress.underWay.find(({ lastFailure }) => lastFailure !== undefined)?.lastFailure ?? null,
  };
}
