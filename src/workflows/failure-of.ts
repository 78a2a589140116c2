import { ActivityFailure, ApplicationFailure, isCancellation, TimeoutFailure } from '@temporalio/workflow';
import { RetryState, TimeoutType } from '@temporalio/common';
import { messageOf } from '../core/error-message';
import { isFailureType, type FailureDetail, type FailureType } from '../failures';

/** A failure in the project's own terms. */
export interface KnownFailure {
  readonly type: FailureType;
  readonly message: string;
  readonly detail: FailureDetail;
  /** The worker died or stopped, or an operator paused or reset the step: nothing was learned about the file. */
  readonly interrupted: boolean;
  /** The step has ended: nothing of it may still be at work, as it may after a step that was lost. */
  readonly reported: boolean;
  /** The server counts no more attempts; it may have counted some that were interrupted. */
  readonly isOutOfAttempts: boolean;
}

/** How the SDK says that an operator has reset or paused a step, where the step does not say so itself. */
const OPERATOR_TYPES: readonly unknown[] = ['ActivityReset', 'ActivityPause'];

/** Unwraps what a step threw. */
export function failureOf(error: unknown): KnownFailure {
  if (isCancellation(error)) return known('Cancelled', 'The backup was cancelled');
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof TimeoutFailure) return timedOut(cause, error);
  if (cause instanceof ApplicationFailure && OPERATOR_TYPES.includes(cause.type)) return { ...known('Interrupted', cause.message), interrupted: true };
  if (cause instanceof ApplicationFailure && isFailureType(cause.type)) {
    const detail = (cause.details?.[0] ?? {}) as FailureDetail;
    const isOutOfAttempts = error instanceof ActivityFailure && error.retryState === RetryState.MAXIMUM_ATTEMPTS_REACHED;
    return { ...known(cause.type, cause.message, detail), interrupted: cause.type === 'Interrupted', isOutOfAttempts };
  }
  return known('UnexpectedError', messageOf(cause));
}

function timedOut(cause: TimeoutFailure, error: unknown): KnownFailure {
  const step = error instanceof ActivityFailure ? error.activityType : 'the step';
  // A retried step that ran out of time altogether carries its last real failure.
  if (cause.cause instanceof ApplicationFailure) return failureOf(cause.cause);
  const interrupted = cause.timeoutType === TimeoutType.HEARTBEAT;
  return { ...known('TimedOut', interrupted ? `The worker that ran ${step} was lost` : `${step} took too long`), interrupted, reported: false };
}

function known(type: FailureType, message: string, detail: FailureDetail = {}): KnownFailure {
  return { type, message, detail, interrupted: false, reported: true, isOutOfAttempts: false };
}
