import type { Batch } from '../activities';
import type { BatchBackupInput } from '../batch-models';
import { storageOf, type BatchOptions, type BatchRun } from './batch-run';
import { chunkSummary, type ChunkJob } from './chunk-job';
import { escalate } from './escalation';
import { chunkSteps } from './proxies';

/** A batch of files while it runs. */
export type FileBatch = BatchRun<BatchBackupInput, Batch>;

/** The chunks of a batch. */
export function batchJob(run: FileBatch, batch: Batch, options: BatchOptions): ChunkJob {
  const storage = storageOf(options);
  return {
    chunks: batch.chunks,
    isAllOrNothing: run.input.onFailure === 'rollBack',
    workOn: (chunk, pass, retry) => chunkSteps.backupChunk.executeWithOptions({ summary: chunkSummary(batch, chunk, pass), retry }, [{ batch, chunk, ...pass, storage }]),
    escalate: (chunk, result) => escalate({ run, batch, chunk, storage }, result),
  };
}
