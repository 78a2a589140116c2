import type { Client, WorkflowHandle } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';

export type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** Histories of all executions of a workflow, from the first through every continue-as-new. */
export async function chainOf(handle: WorkflowHandle, client: Client): Promise<HistoryEvent[][]> {
  const chain: HistoryEvent[][] = [];
  let runId = (handle as WorkflowHandle & { firstExecutionRunId?: string }).firstExecutionRunId;
  while (runId) {
    const { events } = await client.workflow.getHandle(handle.workflowId, runId).fetchHistory();
    chain.push(events ?? []);
    runId = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? undefined;
  }
  return chain;
}

/** Size of the largest payload in histories: arguments, results, failure details, memos, summaries. */
export function largestPayloadOf(chain: readonly (readonly HistoryEvent[])[]): number {
  let largest = 0;
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if (value instanceof Uint8Array) largest = Math.max(largest, value.length);
    else Object.values(value).forEach(visit);
  };
  visit(chain);
  return largest;
}

/**
 * What Temporal Cloud would bill of a history: starts of workflows and children, continue-as-new, activities, timers,
 * signals, updates and changed search attributes. Heartbeats, which are not in the history, come on top.
 */
export function actionsOf(events: readonly HistoryEvent[]): number {
  return events.filter(
    (event) =>
      event.workflowExecutionStartedEventAttributes ??
      event.activityTaskScheduledEventAttributes ??
      event.timerStartedEventAttributes ??
      event.startChildWorkflowExecutionInitiatedEventAttributes ??
      event.workflowExecutionSignaledEventAttributes ??
      event.workflowExecutionUpdateAcceptedEventAttributes ??
      event.upsertWorkflowSearchAttributesEventAttributes,
  ).length;
}

/** Activities that were pending at the same time, at most. */
export function mostPendingOf(events: readonly HistoryEvent[]): number {
  let [pending, most] = [0, 0];
  for (const event of events) {
    if (event.activityTaskScheduledEventAttributes) most = Math.max(most, (pending += 1));
    if (event.activityTaskCompletedEventAttributes ?? event.activityTaskFailedEventAttributes ?? event.activityTaskTimedOutEventAttributes ?? event.activityTaskCanceledEventAttributes) pending -= 1;
  }
  return most;
}
