import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { boundedText } from '../core/bounded-text';

/** Anybody who reaches the server can write it. */
const MAX_TEXT_BYTES = 600;

/** As many events as can follow a task that has failed: later failures of the same one are not recorded. */
const EVENTS = 20;

/**
 * Why the workers of a run cannot go on with it, in their words, which nothing proves: the first failure of the task that
 * is tried again and again. Null while its tasks succeed.
 */
export async function lastTaskFailure(client: Client, { raw: { pendingWorkflowTask }, workflowId, runId }: WorkflowExecutionDescription): Promise<string | null> {
  if (!pendingWorkflowTask || (pendingWorkflowTask.attempt ?? 0) < 2) return null;
  const { namespace } = client.options;
  const { history } = await client.workflowService.getWorkflowExecutionHistoryReverse({ namespace, execution: { workflowId, runId }, maximumPageSize: EVENTS });
  for (const { workflowTaskCompletedEventAttributes: done, workflowTaskFailedEventAttributes: failed } of history?.events ?? []) {
    if (done) return null;
    if (failed) return boundedText(failed.failure?.message ?? '', MAX_TEXT_BYTES);
  }
  return null;
}
