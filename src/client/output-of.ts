import { ApplicationFailure, CancelledFailure, TerminatedFailure, TimeoutFailure, WorkflowContinuedAsNewError, WorkflowFailedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { z } from 'zod';
import { failureKinds, isFailureType, type FailureType } from '../failures';
import { NotProven } from '../proof/bound';
import { openedFailure } from '../proof/failures';
import { describeIfPresent, firstRunIdOf } from './describe-execution';
import { hasKeys, opened } from './proof';
import { readOutput, type RecordSchema } from './read-output';
import { memoOf } from './run-memo';
import type { StartedRun } from './start-run';

/** Builds the record of a run of which no more is known than that it failed. */
type WithoutRecord<Output> = (errorCode: FailureType, errorMessage: string) => Output;

/** What a run left: a record, or why there is none. */
type Left = { readonly record: unknown } | { readonly errorCode: FailureType; readonly message: string };

/** What an execution left, or which one goes on with its run. */
type Ended = Left | { readonly continuedBy: string };

/** One execution after the other of a run, with the one that is being followed. */
export interface FollowedRun extends Pick<StartedRun, 'workflowId' | 'firstRunId'> {
  runId: string;
}

/**
 * The record of a run at its end, however it ended: of the execution that is the run's last one when it has ended, through
 * every continue-as-new and reset. With keys it is that of this very run, or none: whoever reaches the server can end a run
 * in the name of its worker. A record of another version is read as far as it goes. Only trouble in asking for it is thrown.
 * @param run changes with the execution that is followed
 */
export async function outputOf<Schema extends RecordSchema>(client: Client, run: FollowedRun, schema: Schema, withoutRecord: WithoutRecord<z.output<Schema>>): Promise<z.output<Schema>> {
  const left = await leftBy(client, run);
  if (!('record' in left)) return withoutRecord(left.errorCode, left.message);
  const neutral = { ...withoutRecord('UnexpectedError', ''), errorCode: null, errorMessage: null };
  return readOutput(schema, left.record, neutral) ?? withoutRecord('UnexpectedError', 'The run has ended, but its record is none that this version of the client can read. Look at it in the Web UI.');
}

/** Why an execution that has ended is not done; a null type for one that is. */
export async function endOf(client: Client, run: { readonly workflowId: string; readonly runId: string }): Promise<{ readonly errorCode: string | null; readonly message: string }> {
  const left = await leftByExecution(client, run);
  if ('errorCode' in left) return left;
  const { errorCode, errorMessage } = { ...('record' in left ? (left.record as { errorCode?: unknown; errorMessage?: unknown } | null) : null) };
  return { errorCode: typeof errorCode === 'string' ? errorCode : null, message: typeof errorMessage === 'string' ? errorMessage : '' };
}

async function leftBy(client: Client, run: FollowedRun): Promise<Left> {
  for (;;) {
    const ended = await leftByExecution(client, run);
    if ('continuedBy' in ended) {
      run.runId = ended.continuedBy;
    } else {
      const next = await takenUpBy(client, run);
      if (next === undefined) return ended;
      run.runId = next;
    }
  }
}

async function leftByExecution(client: Client, { workflowId, runId }: Pick<FollowedRun, 'workflowId' | 'runId'>): Promise<Ended> {
  try {
    return { record: opened(client, await client.workflow.getHandle(workflowId, runId, { followRuns: false }).result(), { kind: 'result', runId }) };
  } catch (error) {
    if (error instanceof NotProven) return notAuthentic('Its result', error);
    if (error instanceof WorkflowFailedError) return leftByFailed(client, { workflowId, runId }, error);
    if (error instanceof WorkflowContinuedAsNewError) return { continuedBy: error.newExecutionRunId };
    if (error instanceof WorkflowNotFoundError) return { errorCode: 'Terminated', message: DELETED };
    throw error;
  }
}

const DELETED = 'The server does not know the run any more: somebody has deleted it. Nobody undoes it; what it left beside its targets stays until somebody looks at it.';

/** The execution that a reset has put in the place of one that has ended, or was ended by it. */
async function takenUpBy(client: Client, { workflowId, runId, firstRunId }: FollowedRun): Promise<string | undefined> {
  const latest = await describeIfPresent(client, workflowId);
  return latest !== undefined && latest.runId !== runId && firstRunIdOf(latest) === firstRunId ? latest.runId : undefined;
}

/** A failed run carries its record in its failure, a cancelled one in its memo. */
async function leftByFailed(client: Client, run: { readonly workflowId: string; readonly runId: string }, { cause, message }: WorkflowFailedError): Promise<Left> {
  if (cause instanceof ApplicationFailure) return leftByFailure(client, run, cause);
  if (cause instanceof CancelledFailure) {
    const { output } = memoOf(client, await client.workflow.getHandle(run.workflowId, run.runId).describe());
    if (output !== undefined) return { record: output };
  }
  // Terminated from outside: there was no undo, and nobody wrote a record.
  const errorCode: FailureType = cause instanceof TerminatedFailure ? 'Terminated' : cause instanceof CancelledFailure ? 'Cancelled' : cause instanceof TimeoutFailure ? 'TimedOut' : 'UnexpectedError';
  return { errorCode, message: `${cause?.message ?? message}. ${failureKinds[errorCode].hint}` };
}

function leftByFailure(client: Client, { runId }: { readonly runId: string }, failure: ApplicationFailure): Left {
  try {
    const { type, message, details } = hasKeys(client) ? openedFailure(failure, { kind: 'failure', runId }) : failure;
    const record: unknown = details?.[0];
    // What fails before there is a record has the details of any failure, which are none of a run.
    return isRecord(record) ? { record } : { errorCode: isFailureType(type) ? type : 'UnexpectedError', message };
  } catch (error) {
    if (error instanceof NotProven) return notAuthentic('Its failure', error);
    throw error;
  }
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'success' in value;
}

function notAuthentic(what: string, { message }: NotProven): Left {
  return { errorCode: 'NotAuthentic', message: `${what} ${message}: somebody without the key has ended the run. ${failureKinds.NotAuthentic.hint}` };
}
