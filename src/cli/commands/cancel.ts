import type { BackupClient } from '../../client/backup-client';
import type { BackupDescription } from '../../client/describe-run';
import { RunNotFoundError } from '../../client/errors';
import { withClient } from '../client-session';
import { endRun, outcomeText, workerOf, type Ending } from '../end-run';
import { exitCodes } from '../exit-codes';
import { removeLostRun } from '../lost-runs';
import { serverCommand, trustDestinationOption } from '../options';
import type { Output } from '../output';
import { openWorkerSide, type WorkerSide } from '../own-worker';

export const cancelCommand = serverCommand('cancel')
  .description('stop a backup and undo what it did, in this process where the command that did it is gone')
  .argument('<id>', 'operation id, workflow id or run id, or the beginning of one')
  .option(...trustDestinationOption)
  .action((id, options) =>
    withClient(options, async (client, output, server) => {
      const run = await client.describe(id).catch(async (error: unknown) => {
        const lost = error instanceof RunNotFoundError ? await removeLostRun(client, server, id, options.logLevel) : undefined;
        if (lost === undefined) throw error;
        return lost;
      });
      if (!('state' in run)) return output.result('cancel', { ...run, requested: false, removed: true }, `The server does not know run ${run.runId} any more. What it had left in ${run.path} is removed.`);
      if (run.closedAt !== undefined) return output.result('cancel', { ...run, requested: false }, `${nameOf(run)} had ended already (${run.state}).`);
      const worker = await workerOf({ client, server }, run);
      if (worker !== 'leftAlone') return request(client, run, worker === 'nobody', output);
      const sides: WorkerSide[] = [];
      const workerSide = async (): Promise<WorkerSide> => {
        const side = await openWorkerSide(server, options.logLevel);
        sides.push(side);
        return side;
      };
      try {
        await undo({ client, server, workerSide, trustDestination: options.trustDestination }, run, output);
      } finally {
        for (const side of sides) await side.connection.close();
      }
    }),
  );

/** Its worker undoes it. */
async function request(client: BackupClient, run: BackupDescription, isUnserved: boolean, output: Output): Promise<void> {
  await client.cancel(run.workflowId);
  const end = isUnserved ? `no worker polls its queue ${run.taskQueue}: it ends when one comes and has undone it (file-backup worker --task-queue ${run.taskQueue}).` : 'it ends when its worker has undone it.';
  output.result('cancel', { ...run, requested: true, isServed: !isUnserved }, `Cancellation of ${nameOf(run)} requested; ${end}`);
}

async function undo(ending: Ending, run: BackupDescription, output: Output): Promise<void> {
  if (!output.isJson) output.note(`The command of operation ${run.operationId} is gone: it is undone here.`);
  const outcome = await endRun(ending, run, 'leftAlone', await ending.client.others.originOf(run));
  const isUndone = outcome.errorCode !== 'RollbackFailed';
  output.result('cancel', { ...run, requested: true, isServed: true, outcome, errorCode: isUndone ? null : outcome.errorCode, errorMessage: isUndone ? null : outcome.errorMessage }, outcomeText(run.operationId, outcome));
  if (!isUndone) process.exitCode = exitCodes.failed;
}

/** A time of a schedule is no operation. */
function nameOf({ operationId, workflowId }: BackupDescription): string {
  return operationId || workflowId;
}
