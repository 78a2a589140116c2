import type { RetryPolicy } from '@temporalio/common';
import type { ChunkResult } from '../activities';

/** A pass over a chunk, and what proves the journal that the pass before it has written. */
export interface ChunkPass {
  /** 0 for the first one. */
  readonly pass: number;
  readonly journalTag?: string;
}

/** What lanes have to do: the chunks of a run, of whatever kind it is. */
export interface ChunkJob {
  readonly chunks: number;
  /** One failed file ends the run. */
  readonly isAllOrNothing: boolean;
  /** Works on a chunk, in a first pass or a further one over what failed in passing. */
  readonly workOn: (chunk: number, pass: ChunkPass, retry: RetryPolicy) => Promise<ChunkResult>;
  /**
   * Gives files that failed in passing sagas of their own. Called where a result names such files.
   * @returns the chunk's result with theirs, and what cut the sagas short
   */
  readonly escalate: (chunk: number, result: ChunkResult) => Promise<{ result: ChunkResult; cut: Error | undefined }>;
}

/** For runs whose results name no such files: the saga of a single file publishes by itself, and knows nothing of snapshots. */
export const noSagas: ChunkJob['escalate'] = (_chunk, result) => Promise.resolve({ result, cut: undefined });

/** For people, in the Web UI. */
export function chunkSummary({ chunks }: Pick<ChunkJob, 'chunks'>, chunk: number, { pass }: ChunkPass): string {
  return `chunk ${chunk + 1} of ${chunks}${pass === 0 ? '' : `, pass ${pass + 1}`}`;
}
