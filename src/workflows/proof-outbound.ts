import { ActivityFailure, ApplicationFailure, CancelledFailure, ChildWorkflowFailure, TimeoutFailure, workflowInfo, type Next, type StartChildWorkflowExecutionInput, type WorkflowOutboundCallsInterceptor } from '@temporalio/workflow';
import { Bound, bindAll, NotProven, open, type Purpose } from '../proof/bound';
import { notAuthentic, openedFailure } from '../proof/failures';
import { isSignedRun, newNonce } from './proof-state';

/** As `inbound`: nothing is awaited on the way of a run that is not signed. */
export const outbound: WorkflowOutboundCallsInterceptor = {
  scheduleActivity: (input, next) => (isSignedRun() ? step(input.activityType, (purpose) => next({ ...input, args: bindAll(input.args, purpose) })) : next(input)),

  startChildWorkflowExecution: (input, next) => (isSignedRun() ? startChild(input, next) : next(input)),

  continueAsNew(input, next) {
    if (!isSignedRun()) return next(input);
    return next({ ...input, args: bindAll(input.args, { kind: 'continued', workflowType: input.options.workflowType, runId: workflowInfo().runId }) });
  },
};

/** Starts a run for this one alone, and believes that one alone. */
export async function startChild(input: StartChildWorkflowExecutionInput, next: Next<WorkflowOutboundCallsInterceptor, 'startChildWorkflowExecution'>): Promise<[Promise<string>, Promise<unknown>]> {
  const { workflowType, options } = input;
  const { workflowId, runId } = workflowInfo();
  const args = bindAll(options.args, { kind: 'child', workflowType, parentWorkflowId: workflowId, parentRunId: runId });
  const memo = options.memo && Object.fromEntries(Object.entries(options.memo).map(([field, value]) => [field, new Bound(value, { kind: 'memo', field })]));
  const [started, completed] = await next({ ...input, options: { ...options, args, ...(memo === undefined ? {} : { memo }) } });
  const result = child(workflowType, started, completed);
  // Whoever does not wait for the child must not fail with it.
  result.catch(() => undefined);
  return [started, result];
}

/**
 * One activity, which answers this request and no other. The id of the execution is no part of it: after a reset the
 * answers in the history are those that another one got.
 */
async function step(activityType: string, run: (purpose: Purpose) => Promise<unknown>): Promise<unknown> {
  const { firstExecutionRunId: firstRunId, parent } = workflowInfo();
  const request = { step: activityType, nonce: newNonce() };
  try {
    return open(await run({ kind: 'step', ...request, firstRunId, ...(parent === undefined ? {} : { parentWorkflowId: parent.workflowId }) }), { kind: 'stepResult', ...request }).value;
  } catch (error) {
    if (error instanceof NotProven) throw notAuthentic(`The result of ${activityType}`, error);
    if (!(error instanceof ActivityFailure)) throw error;
    const { activityId, retryState, identity } = error;
    throw new ActivityFailure(error.message, activityType, activityId, retryState, identity, believed(error.cause, `The failure of ${activityType}`, { kind: 'stepFailure', ...request }));
  }
}

/** A child's result. It may have continued as new: the chain is known by its first run. */
async function child(workflowType: string, started: Promise<string>, completed: Promise<unknown>): Promise<unknown> {
  try {
    const result = await completed;
    return open(result, { kind: 'result', workflowType, firstRunId: await started }).value;
  } catch (error) {
    if (error instanceof NotProven) throw notAuthentic(`The result of ${workflowType}`, error);
    if (!(error instanceof ChildWorkflowFailure)) throw error;
    const { namespace, execution, retryState } = error;
    throw new ChildWorkflowFailure(namespace, execution, workflowType, retryState, believed(error.cause, `The failure of ${workflowType}`, { kind: 'failure', workflowType, firstRunId: await started }));
  }
}

/** What a worker says needs its proof; that something timed out or was cancelled is the server's word. */
function believed(cause: Error | undefined, what: string, expected: Purpose): Error {
  if (cause instanceof CancelledFailure) return new CancelledFailure('Cancelled');
  if (cause instanceof TimeoutFailure) return new TimeoutFailure('Timed out', undefined, cause.timeoutType);
  try {
    if (!(cause instanceof ApplicationFailure)) throw new NotProven('is not signed');
    return openedFailure(cause, expected);
  } catch (error) {
    if (error instanceof NotProven) return notAuthentic(what, error);
    throw error;
  }
}
