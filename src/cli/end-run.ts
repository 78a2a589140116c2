import { hostname } from 'node:os';
import type { BackupClient } from '../client/backup-client';
import { NotAuthenticError } from '../client/errors';
import type { RunOrigin, RunOutcome } from '../client/other-runs';
import type { BackupDescription } from '../client/describe-run';
import { hostTaskQueue, operationTaskQueue } from '../core/names';
import { startOwnWorker, type WorkerSide } from './own-worker';
import { rootsForUndo } from './run-roots';
import type { ServerSession } from './server-session';
import { isLeftAlone, noteServing } from './serving';

/** What is needed to end a run, and to be its worker if it has none. */
export interface Ending {
  readonly client: BackupClient;
  readonly server: ServerSession;
  /** Asked for where this process has to be the worker. */
  readonly workerSide: () => Promise<WorkerSide>;
  readonly trustDestination: boolean;
}

/** Whose worker a run waits for. */
export type RunWorker = 'serves' | 'leftAlone' | 'nobody';

/**
 * Whether somebody works for a run: a worker that polls its queue; a command of this host that was killed or left, so that
 * this process can take its place; or nobody.
 */
export async function workerOf({ client, server }: Pick<Ending, 'client' | 'server'>, { taskQueue, operationId }: BackupDescription): Promise<RunWorker> {
  const isOfCommandHere = taskQueue === operationTaskQueue(hostTaskQueue(hostname()), operationId);
  if (isOfCommandHere && isLeftAlone(server.stateDirectory, operationId)) return 'leftAlone';
  if (await client.others.isPolled(taskQueue)) return 'serves';
  return isOfCommandHere ? 'leftAlone' : 'nobody';
}

/**
 * Cancels a run and waits until it is undone; one that was left alone is undone by a worker in this process, which serves
 * what that run was asked for and nothing else.
 * @throws NotAuthenticError when the run would have to be served here, and what it was asked for is not proven
 */
export async function endRun(ending: Ending, run: BackupDescription, worker: RunWorker, origin: RunOrigin): Promise<RunOutcome> {
  const { client } = ending;
  if (worker === 'leftAlone' && origin.input === undefined) throw new NotAuthenticError(`The request of run ${run.workflowId}`, 'is not proven, so its undo cannot be done here');
  await client.cancel(run.workflowId);
  if (worker !== 'leftAlone') return client.others.outcomeOf(run);
  return undoHere(ending, run, { ...origin, input: origin.input ?? {} });
}

async function undoHere({ client, server, workerSide, trustDestination }: Ending, run: BackupDescription, { workflowType, input }: RunOrigin & { readonly input: object }): Promise<RunOutcome> {
  const side = await workerSide();
  const roots = { ...rootsForUndo(workflowType, input), trustDestinations: trustDestination };
  const serving = noteServing(server.stateDirectory, run.operationId);
  let isOver = false;
  try {
    const worker = await startOwnWorker({ ...side, server, taskQueue: run.taskQueue, roots, only: { workflowType, workflowId: run.workflowId, input } });
    try {
      const outcome = await Promise.race([client.others.outcomeOf(run), worker.ended.then(() => Promise.reject(new Error('The worker of the undo has ended')))]);
      isOver = true;
      return outcome;
    } finally {
      await worker.stop();
    }
  } finally {
    serving.end(isOver);
  }
}

/** What became of a cancelled run, in words. */
export function outcomeText(operationId: string, { success, errorCode, errorMessage, rollback }: RunOutcome): string {
  const undone = typeof rollback === 'object' ? rollback.status : rollback;
  if (success) return `Operation ${operationId} had come to its end before it could be cancelled.`;
  if (errorCode !== 'Cancelled') return `Operation ${operationId} has ended: ${errorCode ?? 'some of it failed'}${errorMessage === null ? '' : `: ${errorMessage}`}`;
  if (undone === 'performed') return `Operation ${operationId} is cancelled, and everything it did is undone.`;
  return `Operation ${operationId} is cancelled.`;
}
