import type { NativeConnection } from '@temporalio/worker';
import type { StagingOwner } from '../storage/prepare-staging';

type Execution = Pick<StagingOwner, 'workflowId' | 'runId'>;

/** Executions at a time whose answer is remembered: far more than a worker serves at once. */
const MOST_REMEMBERED = 1000;

/**
 * Asks the server which run id an execution's chain began with: the same through every continue-as-new and reset. Once for
 * each execution, since it never changes.
 * @returns a function that throws what the server answers otherwise
 */
export function createFirstRuns(connection: NativeConnection, namespace: string): (execution: Execution) => Promise<string> {
  const known = new Map<string, Promise<string>>();
  return ({ workflowId, runId }) => {
    const key = `${runId} ${workflowId}`;
    const earlier = known.get(key);
    if (earlier !== undefined) return earlier;
    const [oldest] = known.keys();
    if (known.size >= MOST_REMEMBERED && oldest !== undefined) known.delete(oldest);
    const asked = firstRunIdOf({ workflowId, runId }, connection, namespace);
    known.set(key, asked);
    asked.catch(() => known.delete(key));
    return asked;
  };
}

/** By the first event of its history, which is what the workflow itself goes by, and which servers of every version have. */
async function firstRunIdOf(execution: Execution, connection: NativeConnection, namespace: string): Promise<string> {
  const { history } = await connection.workflowService.getWorkflowExecutionHistory({ namespace, execution, maximumPageSize: 1 });
  const firstRunId = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.firstExecutionRunId;
  if (!firstRunId) throw new Error(`The server does not say how the run ${execution.runId} began`);
  return firstRunId;
}
