import type { LiveBatchProgress } from '../../client/batch-progress';
import type { BackupDescription } from '../../client/describe-run';
import { pauseText } from '../../client/pauses';
import { isOfManyFiles } from '../../client/run-kinds';
import { formatBytes } from '../../core/format';
import { CHUNK_STEPS } from '../../core/names';
import { RateMeter } from '../../core/rate-meter';
import { withClient } from '../client-session';
import { batchView, type BatchView } from '../batch-view';
import { describeView } from '../follow-batch';
import { serverCommand } from '../options';

export const statusCommand = serverCommand('status')
  .description('show one backup; needs no worker')
  .argument('<id>', 'operation id, workflow id or run id, or the beginning of one')
  .action((id, options) =>
    withClient(options, async (client, output, server) => {
      const run = await client.describe(id);
      const webUi = server.webUi(run);
      const progress = isOfManyFiles(run.kind) ? await client.batchProgress(run, run.state !== 'interrupted') : undefined;
      // One look measures no rate: the workflow's own stands in the progress.
      const measured = progress && batchView(progress, new RateMeter(1), 0);
      const view = measured && progress && { ...measured, bytesPerSecond: progress.bytesPerSecond, remainingMs: progress.remainingMs ?? undefined };
      output.result('status', { ...run, ...(progress === undefined ? {} : { progress, view }), webUi }, describe(run, webUi, progress, view));
    }),
  );

type Line = readonly [string, string | undefined];

function describe(run: BackupDescription, webUi: string | undefined, progress: LiveBatchProgress | undefined, view: BatchView | undefined): string[] {
  const lines: Line[] = [
    ['Operation', run.operationId || undefined],
    ['State', `${run.state} (${run.status})`],
    ['Reason', run.reason ?? undefined],
    ['Source', run.sourcePath],
    ['Target', run.backupPath],
    ['Size', run.sizeBytes > 0 ? formatBytes(run.sizeBytes) : undefined],
    ['Waiting', progress === undefined ? (run.waitingFor ?? undefined) : undefined],
    ...(progress === undefined || view === undefined ? [] : batchLines(run, progress, view)),
    ['Snapshot', run.snapshotRun ?? undefined],
    ['Started', run.startedAt],
    ['Ended', run.closedAt],
    ['Workflow', run.workflowId],
    ['Queue', run.taskQueue],
    ['Worker', workerText(run, progress)],
    ...run.pendingSteps.map(({ step, attempt, lastFailure }): Line => ['Step', `${step}, attempt ${attempt}${lastFailure === undefined ? '' : `, last failure: ${lastFailure}`}`]),
    ...run.pauses.map((pause): Line => ['Paused', pauseText(pause)]),
    ['Web UI', webUi],
  ];
  return lines.flatMap(([name, value]) => (value === undefined ? [] : [`${`${name}:`.padEnd(11)}${value}`]));
}

function batchLines({ totals }: BackupDescription, progress: LiveBatchProgress, view: BatchView): Line[] {
  if (totals !== undefined) return [['Files', `${totals.totalFiles}: ${totals.successfulFiles} backed up, ${totals.failedFiles} failed, ${totals.skippedFiles} skipped`]];
  return [
    ['Progress', describeView(view)],
    ['Waiting', view.waitingFor === null ? undefined : view.waitingFor],
    ['Chunks', `${progress.finishedChunks} of ${progress.chunks}, ${progress.underWay.filter(({ step }) => CHUNK_STEPS.includes(step)).length} under way`],
    ...Object.entries(progress.failuresByType).map(([type, count]): Line => ['Failed', `${count} ${type}`]),
  ];
}

/** Whom a live run waits for, when nobody is there. */
function workerText({ status, state, taskQueue, taskFailure }: BackupDescription, progress: LiveBatchProgress | undefined): string | undefined {
  if (status !== 'RUNNING') return undefined;
  const goesOn = 'the same command, or a worker of the queue, continues the run';
  if (state === 'interrupted') return `none polls the queue ${taskQueue}: ${goesOn}`;
  if (taskFailure !== null) return `one is there, but cannot go on with the run: ${taskFailure}`;
  return progress?.workerAnswers === false ? `none answers: the figures are those of the history; ${goesOn}` : undefined;
}
