import type { Client, WorkflowExecutionStatusName } from '@temporalio/client';
import { describeIfPresent } from './describe-execution';

/** The execution that a run began with. */
export interface FirstExecution {
  readonly workflowId: string;
  readonly runId: string;
}

/** Anything else, a paused run or a status of a newer server included, may still go on. */
export const closed: readonly WorkflowExecutionStatusName[] = ['COMPLETED', 'FAILED', 'CANCELLED', 'TERMINATED', 'TIMED_OUT'];

/**
 * How a chain of runs stands that began with the owner's: a batch continues as new, and any run goes on when it is reset,
 * under the same workflow id and further run ids. Undefined when the server knows nothing of it any more.
 */
export async function statusOfChain({ workflowId, runId }: FirstExecution, client: Client): Promise<WorkflowExecutionStatusName | undefined> {
  const latest = await describeIfPresent(client, workflowId);
  if (latest === undefined) return undefined;
  const first = latest.raw.workflowExecutionInfo?.firstRunId;
  if (latest.runId === runId || first === runId) return latest.status.name;
  const own = await describeIfPresent(client, workflowId, runId);
  if (own === undefined || own.status.name !== 'CONTINUED_AS_NEW') return own?.status.name;
  // A chain of its own has the id by now, and an id has one run at a time: ours is closed, however it ended. A server
  // that does not tell where a chain began leaves open whether it is ours.
  return first ? 'TERMINATED' : latest.status.name;
}
