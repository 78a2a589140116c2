import { Context, type Info } from '@temporalio/activity';
import type { FailureDetail } from '../failures';

/**
 * What heartbeats tell the attempts that follow. The server counts every attempt; those that were interrupted (a worker
 * that died or stopped, an operator who paused or reset the step) say nothing about the work and must use up no retry.
 */
export interface AttemptNote {
  /** Of the attempt that heartbeats, as the server counts. */
  readonly attempt: number;
  /** Interrupted attempts up to this one, and this one too until it reports a failure of its own. */
  readonly interruptions: number;
}

/** The note of an attempt that has said nothing yet: if no more is heard of it, it was interrupted. */
export function noteUnderWay(info: Info): AttemptNote {
  return { attempt: info.attempt, interruptions: interruptionsBefore(info) + 1 };
}

/** The note of an attempt that reports a failure of its own. */
export function noteFailed(info: Info): AttemptNote {
  return { attempt: info.attempt, interruptions: interruptionsBefore(info) };
}

/** What a failure says of the attempts so far: those that count, this one included, and those that do not. */
export function attemptsSoFar(info: Info = Context.current().info): Required<Pick<FailureDetail, 'attempt' | 'interruptions'>> {
  const interruptions = interruptionsBefore(info);
  return { attempt: info.attempt - interruptions, interruptions };
}

/** Whether the step has no retry left should this attempt fail; judged without interrupted attempts. */
export function isLastAttempt(info: Info = Context.current().info): boolean {
  return attemptsSoFar(info).attempt >= (info.retryPolicy?.maximumAttempts || Infinity);
}

/** Heartbeats are bound to nothing, and a reset starts counting at 1 again: a note counts only where it can be one of this step. */
function interruptionsBefore({ attempt: current, heartbeatDetails }: Info): number {
  const { attempt, interruptions } = (heartbeatDetails ?? {}) as Partial<Record<keyof AttemptNote, unknown>>;
  const isNote = Number.isSafeInteger(attempt) && Number.isSafeInteger(interruptions) && Number(interruptions) >= 0 && Number(interruptions) <= Number(attempt);
  return isNote && Number(attempt) < current ? Number(interruptions) : 0;
}
