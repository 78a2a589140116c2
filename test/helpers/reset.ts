import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';

/** Where a run is reset to, as `temporal workflow reset` has it: its first or last workflow task, or the n-th one. */
export type ResetPoint = 'first' | 'last' | number;

/** Resets an execution as its button in the Web UI does; answers the id of the new one. */
export async function resetRun({ workflow, workflowService, options }: Client, run: { readonly workflowId: string; readonly runId: string }, point: ResetPoint): Promise<string> {
  const tasks = ((await workflow.getHandle(run.workflowId, run.runId).fetchHistory()).events ?? []).filter(({ workflowTaskCompletedEventAttributes: completed }) => completed);
  const { workflowId, runId } = run;
  const event = tasks.at(point === 'first' ? 0 : point === 'last' ? -1 : point);
  const { runId: next } = await workflowService.resetWorkflowExecution({ namespace: options.namespace, workflowExecution: { workflowId, runId }, workflowTaskFinishEventId: event?.eventId, requestId: randomUUID(), reason: 'a test' });
  return next;
}
