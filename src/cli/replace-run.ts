import type { RunHandle } from '../client/backup-client';
import { TargetBusyError } from '../client/errors';
import type { BackupDescription } from '../client/describe-run';
import { endRun, outcomeText, workerOf, type Ending } from './end-run';
import type { Job } from './job';

/**
 * Starts the run of a command. Where another one is under way at the same target, that one is undone first if it was left
 * alone, so that a corrected command works after a crash, and nothing of it can be seen yet; or if `--replace` asks for it.
 * @throws TargetBusyError that says what can be done
 */
export async function startOrReplace<Result>(job: Pick<Job<Result>, 'start' | 'replace' | 'output' | 'interrupted'>, ending: Ending): Promise<RunHandle<Result>> {
  try {
    return await job.start(ending.client);
  } catch (error) {
    if (!(error instanceof TargetBusyError)) throw error;
    await endOther(job, ending, error);
    return job.start(ending.client);
  }
}

async function endOther({ replace, output, interrupted }: Pick<Job<unknown>, 'replace' | 'output' | 'interrupted'>, ending: Ending, busy: TargetBusyError): Promise<void> {
  const other = await ending.client.describe(busy.workflowId);
  // It has ended meanwhile.
  if (other.status !== 'RUNNING' && other.status !== 'PAUSED') return;
  if (other.operationId !== busy.operationId) throw busy;
  const [worker, origin] = await Promise.all([workerOf(ending, other), ending.client.others.originOf(other)]);
  const isByItself = worker === 'leftAlone' && !origin.mayHavePublished;
  if (!replace && !isByItself) throw busyWith(busy, wayOut(other, worker === 'leftAlone'));
  if (worker === 'nobody') throw busyWith(busy, `It cannot be ended, since no worker polls its queue ${other.taskQueue}: start one.`);
  output.event('replacing', { ...other }, `Operation ${other.operationId} ${isByItself ? 'was left by a command that is gone' : 'is under way'}: it is undone first.`);
  const outcome = await Promise.race([endRun(ending, other, worker, origin), interrupted]);
  if (outcome === undefined) throw busyWith(busy, 'Interrupted while it was being ended: the same command goes on with that.');
  output.note(outcomeText(other.operationId, outcome));
}

function wayOut({ operationId, kind }: BackupDescription, isLeftAlone: boolean): string {
  const alone = `Its command is gone, and ${kind === 'file' ? 'the target' : 'some of its targets'} may be written already: the command that it was started with continues it`;
  return `${isLeftAlone ? alone : 'Wait for it'}; or end it with "file-backup cancel ${operationId}", or with --replace, which undoes it first.`;
}

function busyWith({ backupPath, workflowId, operationId }: TargetBusyError, text: string): TargetBusyError {
  return new TargetBusyError(backupPath, workflowId, operationId, text);
}
