import { isGrpcServiceError, type Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';

interface Execution {
  readonly workflowId: string;
  readonly runId: string;
}

/** Of gRPC. */
const NOT_FOUND = 5;

/**
 * Whether a run was reset, in this execution or one that it continues. Steps that had been done by then are not done
 * again, and those that are may find their work done: what such a run comes to tells of files as they were.
 */
export async function wasReset(client: Client, { workflowId, runId }: Execution): Promise<boolean> {
  for (let current = runId; current !== ''; ) {
    const started = await startOf(client, { workflowId, runId: current });
    // Of what the server has forgotten nobody can say when it was done.
    if (started === undefined || started.originalExecutionRunId !== current) return true;
    current = started.continuedExecutionRunId ?? '';
  }
  return false;
}

/** The first event of a history, which a reset copies as it is: what servers of every version tell it by. */
async function startOf(client: Client, execution: Execution): Promise<temporal.api.history.v1.IWorkflowExecutionStartedEventAttributes | undefined> {
  const { namespace } = client.options;
  try {
    const { history } = await client.workflowService.getWorkflowExecutionHistory({ namespace, execution, maximumPageSize: 1 });
    return history?.events?.[0]?.workflowExecutionStartedEventAttributes ?? undefined;
  } catch (error) {
    if (!isGrpcServiceError(error) || Number(error.code) !== NOT_FOUND) throw error;
    return undefined;
  }
}
