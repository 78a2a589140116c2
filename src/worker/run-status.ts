import { WorkflowNotFoundError, type Client, type WorkflowExecutionDescription, type WorkflowExecutionStatusName } from '@temporalio/client';
import type { StagingOwner } from '../storage/prepare-staging';

/** Anything else, a paused run or a status of a newer server included, may still go on. */
export const closed: readonly WorkflowExecutionStatusName[] = ['COMPLETED', 'FAILED', 'CANCELLED', 'TERMINATED', 'TIMED_OUT'];

/**
 * How a chain of runs stands that began with the owner's: a batch continues as new, and any run goes on when it is reset,
 * under the same workflow id and further run ids. Undefined when the server knows nothing of it any more.
 */
export async function statusOfChain({ runId, ...owner }: StagingOwner, client: Client): Promise<WorkflowExecutionStatusName | undefined> {
  const latest = await describe(owner, client);
  if (latest === undefined) return undefined;
  const first = latest.raw.workflowExecutionInfo?.firstRunId;
  if (latest.runId === runId || first === runId) return latest.status.name;
  const own = await describe({ ...owner, runId }, client);
  if (own === undefined || own.status.name !== 'CONTINUED_AS_NEW') return own?.status.name;
  // A chain of its own has the id by now, and an id has one run at a time: ours is closed, however it ended. A server
  // that does not tell where a chain began leaves open whether it is ours.
  return first ? 'TERMINATED' : latest.status.name;
}

async function describe({ workflowId, runId }: Omit<StagingOwner, 'clusterId' | 'runId'> & { readonly runId?: string }, client: Client): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await client.workflow.getHandle(workflowId, runId).describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}
