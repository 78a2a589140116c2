import { Context } from '@temporalio/activity';

/** Names what one attempt at a chunk stages: attempts may overlap, and a reset starts counting at 1 again. */
export function attemptNameOf(chunk: number): string {
  const { attempt: number, activityId } = Context.current().info;
  return `${chunk}-${number}-${activityId}-${Date.now()}`;
}
