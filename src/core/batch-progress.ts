import { formatBytes } from './format';

/** What a batch came to, in its memo. */
export interface BatchTotals {
  readonly totalFiles: number;
  readonly successfulFiles: number;
  readonly failedFiles: number;
  readonly skippedFiles: number;
  readonly totalBytes: number;
}

/** The answer to a batch's `progress` query: figures of finished chunks, bounded whatever the size of the batch. */
export interface BatchProgress {
  readonly state: 'planning' | 'running' | 'paused' | 'waiting' | 'undoing' | 'sealing' | 'done';
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
  readonly finishedChunks: number;
  /** Chunks under way. */
  readonly current: readonly number[];
  readonly backedUp: number;
  readonly unchanged: number;
  readonly failed: number;
  readonly changed: number;
  readonly copiedBytes: number;
  readonly unchangedBytes: number;
  /** How often each byte is read: 2 with verification. What steps under way have moved counts as so much less. */
  readonly passes: number;
  /** Over the chunks that were finished lately. */
  readonly bytesPerSecond: number;
  /** Null until enough is finished to tell. */
  readonly remainingMs: number | null;
  readonly failuresByType: Readonly<Record<string, number>>;
  /** The first few failed files. */
  readonly sample: readonly { readonly path: string; readonly type: string; readonly message: string }[];
  readonly lanes: number;
  readonly retryCount: number;
  readonly waitingFor: string | null;
  readonly startedAtMs: number;
  /** What the copies need at least, and what was free when they were planned. Absent where the plan does not say. */
  readonly room?: { readonly neededBytes: number; readonly neededFiles: number; readonly freeBytes: number | null; readonly freeFiles: number | null };
}

/** Undefined where the destination does not say what it has. */
export function roomText({ room }: Pick<BatchProgress, 'room'>): string | undefined {
  if (room === undefined || room.freeBytes === null) return undefined;
  return `needs ${formatBytes(room.neededBytes)}, ${formatBytes(room.freeBytes)} are free`;
}
