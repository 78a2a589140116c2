import { WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError, type Client } from '@temporalio/client';
import type { BatchProgress } from '../core/batch-progress';
import { BatchUpdateError } from './errors';
import type { BackupDescription } from './runs';

/** A worker answers in milliseconds; one that is gone never does, and the server itself would wait for it for long. */
const ANSWER_WITHIN_MS = 10_000;

/** Asks a live batch to change what it does. @throws BatchUpdateError that says why not */
export async function updateBatch(client: Client, { workflowId, firstRunId, kind, status }: BackupDescription, update: string, lanes?: number): Promise<BatchProgress> {
  if (kind === 'file') throw new BatchUpdateError(`Run ${workflowId} is the backup of a single file; only runs of many files can be told to ${update}.`);
  if (status !== 'RUNNING') throw new BatchUpdateError(`Run ${workflowId} has ended already (${status}).`);
  const handle = client.workflow.getHandle(workflowId, undefined, { firstExecutionRunId: firstRunId });
  try {
    return await client.withDeadline(Date.now() + ANSWER_WITHIN_MS, () => lanes === undefined ? handle.executeUpdate<BatchProgress, []>(update) : handle.executeUpdate<BatchProgress, [number]>(update, { args: [lanes] }));
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) throw new BatchUpdateError(`${error.cause?.message ?? error.message}.`, error);
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) throw new BatchUpdateError(`No worker of run ${workflowId} answers: is one running? The request is kept and takes effect when one comes.`, error);
    throw error;
  }
}
