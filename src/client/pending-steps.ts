import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { Bound } from '../proof/bound';
import { decodedFirst, hasKeys, stepFailureText } from './proof';

/** A step that is under way or waits for its next attempt, as the server and the heartbeats of its worker tell. */
export interface PendingActivity {
  readonly step: string;
  readonly attempt: number;
  readonly isWaiting: boolean;
  readonly lastFailure: string | undefined;
  readonly heartbeat: Readonly<Record<string, unknown>>;
}

/** `PENDING_ACTIVITY_STATE_SCHEDULED` */
const SCHEDULED = 1;

/** What of them is not authentic is left out. */
export async function pendingActivities(client: Client, { raw, workflowId, runId }: WorkflowExecutionDescription): Promise<PendingActivity[]> {
  return Promise.all(
    (raw.pendingActivities ?? []).map(async ({ activityType, activityId, attempt, state, heartbeatDetails, lastFailure }) => {
      const step = activityType?.name ?? '';
      const context = { type: 'activity' as const, namespace: client.options.namespace, workflowId, activityId: activityId ?? '', isLocal: false };
      const details = await decodedFirst(client, heartbeatDetails, context);
      return { step, attempt: attempt ?? 1, isWaiting: Number(state) === SCHEDULED, lastFailure: await stepFailureText(client, lastFailure, { step, runId }, context), heartbeat: fieldsOf(details, client) };
    }),
  );
}

/** Heartbeats are bound to nothing: what is bound was made for something else. */
function fieldsOf(details: unknown, client: Client): Record<string, unknown> {
  if (typeof details !== 'object' || details === null || (details instanceof Bound && hasKeys(client))) return {};
  return { ...details };
}
