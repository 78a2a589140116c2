/** A failed file for people. */
interface FailedFile {
  readonly path: string;
  readonly type: string;
  readonly message: string;
}

/** What finished chunks of a batch came to; of failures a bounded sample. */
export interface BatchSums {
  finishedChunks: number;
  backedUp: number;
  unchanged: number;
  failed: number;
  changed: number;
  copiedBytes: number;
  unchangedBytes: number;
  verifiedFrom: 'device' | 'cache' | null;
  failuresByType: Record<string, number>;
  sample: FailedFile[];
}

/** The part of a chunk's result that is added up. */
export interface ChunkSums {
  readonly counts: { readonly backedUp: number; readonly unchanged: number; readonly failed: number };
  readonly sizeBytes: number;
  readonly unchangedBytes: number;
  readonly changed: number;
  readonly verifiedFrom: 'device' | 'cache' | null;
  readonly failuresByType: Readonly<Partial<Record<string, number>>>;
  readonly sample: readonly FailedFile[];
}

/** Failed files that are named in progress and result; all of them are in the run's failures.ndjson. */
const SAMPLE_FILES = 20;

export function noSums(): BatchSums {
  return { finishedChunks: 0, backedUp: 0, unchanged: 0, failed: 0, changed: 0, copiedBytes: 0, unchangedBytes: 0, verifiedFrom: null, failuresByType: {}, sample: [] };
}

/** Adds a finished chunk. */
export function addChunkTo(sums: BatchSums, { counts, sizeBytes, unchangedBytes, changed, verifiedFrom, failuresByType, sample }: ChunkSums): void {
  sums.finishedChunks += 1;
  sums.backedUp += counts.backedUp;
  sums.unchanged += counts.unchanged;
  sums.failed += counts.failed;
  sums.changed += changed;
  sums.copiedBytes += sizeBytes;
  sums.unchangedBytes += unchangedBytes;
  if (counts.backedUp > 0 && verifiedFrom !== null) sums.verifiedFrom = sums.verifiedFrom === 'cache' ? 'cache' : verifiedFrom;
  for (const [type, count = 0] of Object.entries(failuresByType)) sums.failuresByType[type] = (sums.failuresByType[type] ?? 0) + count;
  sums.sample.push(...sample.slice(0, SAMPLE_FILES - sums.sample.length));
}
