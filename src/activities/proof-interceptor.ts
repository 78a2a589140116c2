import { ApplicationFailure, CancelledFailure, CompleteAsyncError, type Context } from '@temporalio/activity';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { failure } from '../failures';
import { Bound, NotProven, open, openAll, type Purpose } from '../proof/bound';
import { notAuthentic, provenFailure, requireSigned } from '../proof/failures';

/**
 * Lets steps run that a run of this worker's key has asked for, this very run, and signs what they answer. Outermost of a
 * worker's interceptors: all others see plain values.
 * @param isOwn tells steps from a host's own activities, which are asked for by nothing but what is signed
 */
export function proofInterceptor(isOwn: (activityType: string) => boolean = () => true): ActivityInterceptorsFactory {
  return (context) => ({
    inbound: {
      async execute(input, next) {
        const request = requestOf(context);
        if (!isOwn(request.step)) return next({ ...input, args: requireSigned(input.args, 'The request') });
        try {
          const args = admitted(input.args, { kind: 'step', ...request });
          return new Bound(await next({ ...input, args }), { kind: 'stepResult', ...request });
        } catch (error) {
          throw proven(error, { kind: 'stepFailure', ...request });
        }
      },
    },
  });
}

function requestOf({ info }: Context): { readonly step: string; readonly runId: string } {
  return { step: info.activityType, runId: info.workflowExecution?.runId ?? '' };
}

/** @throws ApplicationFailure `NotAuthentic` */
function admitted(args: readonly unknown[], purpose: Purpose): unknown[] {
  try {
    args.forEach((argument) => open(argument, purpose));
    return openAll(args).values;
  } catch (error) {
    throw error instanceof NotProven ? notAuthentic('The request', error) : error;
  }
}

/** Cancellation is told by other means than a failure. */
function proven(error: unknown, purpose: Purpose): unknown {
  if (error instanceof CancelledFailure || error instanceof CompleteAsyncError) return error;
  if (error instanceof ApplicationFailure) return provenFailure(error, purpose);
  const cause = error instanceof Error ? error : new Error(String(error));
  return provenFailure(failure('UnexpectedError', cause.message, {}, cause), purpose);
}
