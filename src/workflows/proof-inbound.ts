import { ApplicationFailure, workflowInfo, type Next, type QueryInput, type UpdateInput, type WorkflowExecuteInput, type WorkflowInboundCallsInterceptor, type WorkflowInfo } from '@temporalio/workflow';
import { failure } from '../failures';
import { Bound, NotProven, open, openAll, Refused, type Purpose } from '../proof/bound';
import { provenFailure } from '../proof/failures';
import { isSignedRun, isSignedRunDemanded, ownRun, signRun } from './proof-state';
import { endUnproven } from './unproven-run';

/** How long after a request was made its run may begin: clocks of client and server may differ, and a request may not be used again later. */
const MAX_REQUEST_AGE_MS = 600_000;

/** Nothing is awaited on the way of a run that is not signed: its history may be one from before there were signatures. */
export const inbound: WorkflowInboundCallsInterceptor = {
  execute: (input, next) => (isSignedRunDemanded() || input.args.some((argument) => argument instanceof Bound || argument instanceof Refused) ? execute(input, next) : next(input)),

  validateUpdate(input, next) {
    if (!isSignedRun()) return next(input);
    try {
      next({ ...input, args: asked(input) });
    } catch (error) {
      throw proven(error, answerTo('updateFailure', input));
    }
  },

  handleUpdate: (input, next) => (isSignedRun() ? handleUpdate(input, next) : next(input)),

  handleQuery: (input, next) => (isSignedRun() ? handleQuery(input, next) : next(input)),
};

async function execute(input: WorkflowExecuteInput, next: Next<WorkflowInboundCallsInterceptor, 'execute'>): Promise<unknown> {
  const own = { workflowType: workflowInfo().workflowType, ...ownRun() };
  let args: unknown[];
  try {
    args = admitted(input.args);
  } catch (error) {
    return endUnproven(proven(error, { kind: 'failure', ...own }), input, next);
  }
  signRun();
  try {
    return new Bound(await next({ ...input, args }), { kind: 'result', ...own });
  } catch (error) {
    throw proven(error, { kind: 'failure', ...own });
  }
}

async function handleUpdate(input: UpdateInput, next: Next<WorkflowInboundCallsInterceptor, 'handleUpdate'>): Promise<unknown> {
  try {
    return new Bound(await next({ ...input, args: asked(input) }), answerTo('updateResult', input));
  } catch (error) {
    throw proven(error, answerTo('updateFailure', input));
  }
}

/** Answers whoever asks without arguments too: that is how people look at a run in the Web UI. */
async function handleQuery(input: QueryInput, next: Next<WorkflowInboundCallsInterceptor, 'handleQuery'>): Promise<unknown> {
  const { queryName: name, args: [question] } = input;
  const nonce = question === undefined ? '' : String(opened(() => open(question, { kind: 'query', name })).purpose.nonce);
  return new Bound(await next({ ...input, args: [] }), { kind: 'answer', name, nonce, ...ownRun() });
}

function answerTo(kind: 'updateResult' | 'updateFailure', { name, updateId }: UpdateInput): Purpose {
  return { kind, name, updateId, ...ownRun() };
}

/** The arguments of a request that was made for this run. @throws ApplicationFailure `NotAuthentic` */
function admitted(args: readonly unknown[]): unknown[] {
  const { values, purpose } = opened(() => openAll(args));
  const objection = objectionTo(purpose, workflowInfo());
  if (objection !== undefined) throw failure('NotAuthentic', `The request ${objection}`);
  return values;
}

function objectionTo(purpose: Purpose, info: WorkflowInfo): string | undefined {
  if (purpose.workflowType !== info.workflowType) return 'was made for something else';
  const isFirst = info.continuedFromExecutionRunId === undefined && info.cronSchedule === undefined;
  switch (purpose.kind) {
    case 'start':
    case 'scheduled':
      if (!isFirst || info.parent !== undefined || info.cronScheduleToScheduleInterval !== undefined) return 'is repeated or put off by somebody else';
      if (purpose.taskQueue !== info.taskQueue) return 'was made for the workers of another queue';
      return purpose.kind === 'start' && Math.abs(info.startTime.getTime() - Number(purpose.madeAtMs)) > MAX_REQUEST_AGE_MS ? 'was made at another time' : undefined;
    case 'child':
      return isFirst && purpose.parentWorkflowId === info.parent?.workflowId && purpose.parentRunId === info.parent?.runId ? undefined : 'was made by another run';
    case 'continued':
      return purpose.runId === info.continuedFromExecutionRunId ? undefined : 'was made by another run';
    default:
      return 'is none: it is something else that was signed';
  }
}

/** The arguments of an update. @throws ApplicationFailure `NotAuthentic` */
function asked({ name, updateId, args: [token] }: UpdateInput): unknown[] {
  return opened(() => open<unknown[]>(token, { kind: 'update', name, updateId, firstRunId: workflowInfo().firstExecutionRunId })).value;
}

function opened<Result>(opening: () => Result): Result {
  try {
    return opening();
  } catch (error) {
    throw error instanceof NotProven ? failure('NotAuthentic', `The request ${error.message}`) : error;
  }
}

/** A failure with a proof; what is none, as a cancellation or going on in another execution, is as it was. */
function proven(error: unknown, purpose: Purpose): unknown {
  return error instanceof ApplicationFailure ? provenFailure(error, purpose) : error;
}
