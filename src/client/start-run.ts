import { WorkflowExecutionAlreadyStartedError, type Client, type WorkflowExecutionDescription } from '@temporalio/client';
import { operationKey, stateKey } from '../search-attributes';
import { OperationReusedError, TargetBusyError } from './errors';
import { boundFields, startArguments } from './proof';
import { wasReset } from './reset-runs';
import { memoOf, type RunMemo } from './run-memo';
import { describeIfPresent, firstRunIdOf } from './describe-execution';
import { findOperation } from './describe-run';

/** A run that is to be started, or found: one of its id at a time. */
export interface RunRequest {
  readonly workflowType: string;
  readonly workflowId: string;
  readonly memo: RunMemo;
  readonly args: readonly unknown[];
  /** One line of markdown for lists of the Web UI, short enough for any server. */
  readonly summary: string;
  /** Markdown for the run's page. */
  readonly details: string;
  /** The caller named the operation: it may have been sent before. */
  readonly mayBeRepeated: boolean;
}

/** Where runs are started. */
export interface RunContext {
  readonly client: Client;
  readonly taskQueue: string;
  /** Whether runs can carry search attributes. */
  readonly registered: boolean;
}

export interface StartedRun {
  readonly workflowId: string;
  /** The execution that is followed. In a handle it changes when the run continues as new or is reset. */
  readonly runId: string;
  /** The execution that the run began with: the same through every continue-as-new and reset. */
  readonly firstRunId: string;
  readonly operationId: string;
  readonly taskQueue: string;
  /** True when the same operation or equal input was there already. */
  readonly attached: boolean;
  /** True when it was reset: its record may tell of what was done before that, and is no answer to another operation's request. */
  readonly isOutdated: boolean;
}

/**
 * Starts a run. The same operation sent twice runs once; equal input to what is just being done attaches to it.
 * @throws TargetBusyError, OperationReusedError, and errors of the connection
 */
export async function startRun(context: RunContext, request: RunRequest): Promise<StartedRun> {
  const { workflowId, memo } = request;
  if (request.mayBeRepeated) {
    const earlier = await earlierRun(context, request);
    if (earlier !== undefined) return earlier;
  }
  try {
    const handle = await context.client.workflow.start(request.workflowType, { ...startOptions(context, request), workflowId });
    const runId = handle.firstExecutionRunId;
    return { workflowId, runId, firstRunId: runId, operationId: memo.operationId, taskQueue: context.taskQueue, attached: false, isOutdated: false };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    return attach(context, request);
  }
}

function startOptions({ client, taskQueue, registered }: RunContext, { workflowType, args, memo, summary, details }: RunRequest) {
  return {
    taskQueue,
    args: startArguments(client, args, { workflowType, taskQueue }),
    memo: boundFields(client, 'memo', { ...memo }),
    staticSummary: summary,
    staticDetails: details,
    ...(registered
      ? {
          typedSearchAttributes: [
            { key: operationKey, value: memo.operationId },
            { key: stateKey, value: 'active' },
          ],
        }
      : {}),
  };
}

/** A run of that id is alive: ours, equal, or somebody else's. */
async function attach({ client }: RunContext, { workflowId, memo: ours }: RunRequest): Promise<StartedRun> {
  const running = await describeIfPresent(client, workflowId);
  const memo = running && memoOf(client, running);
  const isSame = memo?.operationId === ours.operationId || memo?.fingerprint === ours.fingerprint;
  if (running === undefined || memo?.operationId === undefined || !isSame) throw new TargetBusyError(ours.backupPath, workflowId, memo?.operationId ?? 'unknown');
  // The operation itself is what it came to, whoever has reset it; another one that asks for the same is not done by it.
  const isOutdated = memo.operationId !== ours.operationId && (await wasReset(client, running));
  return attachedTo(running, memo.operationId, isOutdated);
}

/** The last run of the id is asked first, because visibility lags behind. */
async function earlierRun({ client, registered }: RunContext, { workflowId, memo: { operationId, fingerprint } }: RunRequest): Promise<StartedRun | undefined> {
  const last = await describeIfPresent(client, workflowId);
  const found = last !== undefined && memoOf(client, last).operationId === operationId ? last : await findEarlier(client, operationId, registered);
  if (found === undefined) return undefined;
  const memo = memoOf(client, found);
  // What somebody else has started under the operation's id is not the operation.
  if (memo.operationId !== operationId) return undefined;
  if (memo.fingerprint !== fingerprint) throw new OperationReusedError(operationId);
  return attachedTo(found, operationId);
}

async function findEarlier(client: Client, operationId: string, registered: boolean): Promise<WorkflowExecutionDescription | undefined> {
  const found = registered ? await findOperation(client, operationId) : undefined;
  return found && describeIfPresent(client, found.workflowId, found.runId);
}

function attachedTo(found: WorkflowExecutionDescription, operationId: string, isOutdated = false): StartedRun {
  const { workflowId, runId, taskQueue } = found;
  return { workflowId, runId, firstRunId: firstRunIdOf(found), operationId, taskQueue, attached: true, isOutdated };
}
