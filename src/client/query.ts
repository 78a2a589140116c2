import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { Bound, NotProven } from '../proof/bound';
import { NotAuthenticError } from './errors';
import { hasKeys, opened } from './proof';

/**
 * Asks one execution of a run. With keys the answer has to be the one to this very question.
 * @throws NotAuthenticError, and errors of the connection
 */
export async function askQuery<Answer>(client: Client, { workflowId, runId }: { readonly workflowId: string; readonly runId: string }, name: string): Promise<Answer> {
  const handle = client.workflow.getHandle(workflowId, runId);
  if (!hasKeys(client)) return handle.query<Answer>(name);
  const nonce = randomUUID();
  const answer = await handle.query<unknown, [Bound]>(name, new Bound(null, { kind: 'query', name, nonce }));
  try {
    return opened<Answer>(client, answer, { kind: 'answer', name, nonce, runId });
  } catch (error) {
    throw error instanceof NotProven ? new NotAuthenticError(`The answer of run ${workflowId}`, error.message) : error;
  }
}
