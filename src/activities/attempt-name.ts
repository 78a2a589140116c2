import { Context } from '@temporalio/activity';
import { createHash } from 'node:crypto';

const PLAIN_NAME = /^[\w-]{1,64}$/;

/** Names what one attempt at a file stages. Attempts may overlap, and a reset starts counting at 1 again: storage adds randomness to this. */
export function attemptName(): string {
  return `staged-${activityName()}-${Context.current().info.attempt}`;
}

/** Names what one attempt at a chunk stages, likewise. */
export function attemptNameOf(chunk: number): string {
  return `${chunk}-${Context.current().info.attempt}-${activityName()}-${Date.now()}`;
}

/** Whoever schedules an activity may choose its id: what is no plain name for a file stands there by its digest. */
function activityName(): string {
  const { activityId } = Context.current().info;
  return PLAIN_NAME.test(activityId) ? activityId : createHash('sha256').update(activityId).digest('hex').slice(0, 32);
}
