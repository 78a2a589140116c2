import type { SerializationContext } from '@temporalio/common';
import type { Purpose } from '../proof/bound';

/** Whose payload it is, as the SDK tells a codec: of a workflow, or of one of its activities. */
export interface Claims {
  readonly namespace?: string;
  readonly workflowId?: string;
  readonly activityId?: string;
}

/** None for what belongs to no workflow, as the memo of a schedule. */
export function claimsOf(context: SerializationContext | undefined): Claims {
  if (context === undefined) return {};
  const { namespace, workflowId } = context;
  return { namespace, ...(workflowId === undefined ? {} : { workflowId }), ...(context.type === 'activity' ? { activityId: context.activityId ?? '' } : {}) };
}

/** What the server puts behind the workflow id of a schedule each time. */
const SCHEDULED_TIME = /^-\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;

/** Whether claims are those of the place where a payload was found. */
export function areClaimsOf(claims: Claims, context: SerializationContext | undefined, purpose: Purpose | undefined): boolean {
  const expected = claimsOf(context);
  if (claims.namespace !== expected.namespace || claims.activityId !== expected.activityId) return false;
  if (claims.workflowId === expected.workflowId) return true;
  const { workflowId: claimed } = claims;
  const isOfSchedule = purpose?.kind === 'scheduled' || (purpose?.kind === 'memo' && typeof purpose.schedule === 'string');
  return isOfSchedule && claimed !== undefined && expected.workflowId?.startsWith(claimed) === true && SCHEDULED_TIME.test(expected.workflowId.slice(claimed.length));
}
