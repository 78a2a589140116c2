import { randomUUID } from 'node:crypto';
import { ApplicationFailure, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError, type Client } from '@temporalio/client';
import type { BatchProgress } from '../core/batch-progress';
import { Bound, NotProven, type Purpose } from '../proof/bound';
import { openedFailure } from '../proof/failures';
import { BatchUpdateError, NotAuthenticError } from './errors';
import { pauseText } from './pauses';
import { hasKeys, opened } from './proof';
import type { BackupDescription } from './describe-run';
import { isOfManyFiles } from './run-kinds';

/** A worker answers in milliseconds; one that is gone never does, and the server itself would wait for it for long. */
const ANSWER_WITHIN_MS = 10_000;

/** Asks a live batch to change what it does. @throws BatchUpdateError that says why not, NotAuthenticError */
export async function updateBatch(client: Client, { workflowId, firstRunId, kind, status, pauses }: BackupDescription, update: string, lanes?: number): Promise<BatchProgress> {
  if (!isOfManyFiles(kind)) throw new BatchUpdateError(`Run ${workflowId} ${kind === 'file' ? 'is the backup of a single file' : 'of a schedule takes no snapshot now'}; only runs of many files can be told to ${update}.`);
  if (status === 'PAUSED') throw new BatchUpdateError(`Run ${workflowId} is paused by Temporal's own means (${pauses.map(pauseText).join('; ')}): let it go on first with: temporal workflow unpause --workflow-id ${workflowId}`);
  if (status !== 'RUNNING') throw new BatchUpdateError(`Run ${workflowId} has ended already (${status}).`);
  const updateId = randomUUID();
  const purpose = { kind: 'update' as const, name: update, updateId, firstRunId };
  const asked = lanes === undefined ? [] : [lanes];
  const args = hasKeys(client) ? [new Bound(asked, purpose)] : asked;
  const handle = client.workflow.getHandle(workflowId, undefined, { firstExecutionRunId: firstRunId });
  try {
    return opened<BatchProgress>(client, await client.withDeadline(Date.now() + ANSWER_WITHIN_MS, () => handle.executeUpdate<unknown, [unknown, ...unknown[]]>(update, { updateId, args: args as [unknown] })), { ...purpose, kind: 'updateResult' });
  } catch (error) {
    if (error instanceof NotProven) throw new NotAuthenticError(`The answer of run ${workflowId}`, error.message);
    if (error instanceof WorkflowUpdateFailedError) throw new BatchUpdateError(reasonOf(client, error, { ...purpose, kind: 'updateFailure' }), error);
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) throw new BatchUpdateError(`No worker of run ${workflowId} answers: is one running? The request is kept and takes effect when one comes.`, error);
    throw error;
  }
}

/** Why a batch does not do what it was asked to, in words of its own where they are proven. */
function reasonOf(client: Client, { cause, message }: WorkflowUpdateFailedError, expected: Purpose): string {
  if (!hasKeys(client)) return `${cause?.message ?? message}.`;
  try {
    if (cause instanceof ApplicationFailure) return `${openedFailure(cause, expected).message}.`;
  } catch (error) {
    if (!(error instanceof NotProven)) throw error;
  }
  return 'The request was refused, by whom is not proven.';
}
