import { ApplicationFailure, CancelledFailure, CompleteAsyncError } from '@temporalio/activity';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { failure } from '../failures';
import { Bound, NotProven, open, openAll, type Purpose } from '../proof/bound';
import { notAuthentic, provenFailure, requireSigned } from '../proof/failures';
import { currentOwner, type ActivityDependencies } from './operation';

type Runs = Pick<ActivityDependencies, 'firstRunIdOf'>;

/**
 * Lets steps run that a run of this worker's key has asked for, this very run, and signs what they answer, for the request
 * that they answer. A run is known by the execution that it began with: after a reset, a step is asked for by one execution
 * and awaited by another. Outermost of a worker's interceptors: all others see plain values.
 * @param isOwn tells steps from a host's own activities, which are asked for by nothing but what is signed
 */
export function proofInterceptor(runs: Runs, isOwn: (activityType: string) => boolean = () => true): ActivityInterceptorsFactory {
  return ({ info }) => ({
    inbound: {
      async execute(input, next) {
        const { activityType: step, workflowExecution } = info;
        if (!isOwn(step)) return next({ ...input, args: requireSigned(input.args, 'The request') });
        // Where the request is none, its answer is one to no request.
        const answer = { step, runId: workflowExecution?.runId ?? '', nonce: '' };
        try {
          const { values, purpose } = opened(() => openAll(input.args));
          answer.nonce = String(purpose.nonce);
          const firstRunId = await runs.firstRunIdOf(currentOwner(''));
          opened(() => open(input.args[0], { kind: 'step', step, firstRunId }));
          return new Bound(await next({ ...input, args: values }), { kind: 'stepResult', ...answer });
        } catch (error) {
          throw proven(error, { kind: 'stepFailure', ...answer });
        }
      },
    },
  });
}

/** @throws ApplicationFailure `NotAuthentic` */
function opened<Result>(opening: () => Result): Result {
  try {
    return opening();
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
