import { hostname } from 'node:os';
import { Command } from '@commander-js/extra-typings';
import type { BackupSchedule } from '../../client/schedules';
import { hostTaskQueue } from '../../core/names';
import { ScheduleInput } from '../../schedule-models';
import { backupCommand, backupRequest, parseRequest } from '../backup-options';
import { withClient } from '../client-session';
import { durationMs } from '../duration';
import { UsageError } from '../exit-codes';
import { addKeepOptions, keepRulesOf } from '../keep-options';
import { repeated, serverCommand } from '../options';
import type { Output } from '../output';
import { fieldNames, snapshotOptions, snapshotRequestOf } from '../snapshot-options';
import { tableLines } from '../table';

const createCommand = snapshotOptions(backupCommand('create'))
  .description('take snapshots at set times, by the workers of a queue, as long as the Temporal server is up')
  .argument('<name>', 'name of the schedule')
  .argument('<sources...>', 'directories or files, on the worker\'s host')
  .option('--cron <expression>', 'five fields as in a crontab, such as "30 2 * * *"; may be repeated', repeated, [])
  .option('--every <duration>', 'instead of a cron expression, such as 6h', durationMs('--every'))
  .option('--time-zone <name>', 'of the cron expression, such as Europe/Berlin; UTC unless given')
  .option('--jitter <duration>', 'put each time off by a random part of this, such as 15m', durationMs('--jitter'), 0)
  .option('--catch-up <duration>', 'make up for what was missed while the server was down when it is no longer ago, once', durationMs('--catch-up'), 43_200_000)
  .option('--pause-on-failure', 'rest after a time that failed', false)
  .option('--paused', 'create it paused', false)
  .option('--check', 'check the repository after each snapshot', false)
  .option('--check-data <share>', 'and read so much of its data back, such as 5% (another part each day) or 100%')
  .addHelpText('after', '\nWith any --keep option the host\'s snapshots of these sources are pruned after each snapshot.\nSnapshots are taken while a server and a worker run: file-backup server, file-backup worker.')
  .action((name, sources, options, command) => {
    const { cron, every, timeZone, jitter, catchUp, pauseOnFailure, paused, check, checkData } = options;
    if (options.operationId !== undefined) throw new UsageError('--operation-id: each time of a schedule gets an id of its own');
    const snapshot = { ...snapshotRequestOf(sources, options), ...backupRequest(options) };
    const keep = keepRulesOf(command);
    const keepsAny = Object.values(keep).some((rule) => rule !== undefined && (!Array.isArray(rule) || rule.length > 0));
    const input = parseRequest(
      ScheduleInput,
      {
        ...{ name, paused },
        timing: { cron, intervalMs: every, timeZone, jitterMs: jitter, catchUpMs: catchUp, pauseOnFailure },
        action: { snapshot, prune: keepsAny ? keep : null, check: check || checkData !== undefined ? { readData: checkData ?? null } : null },
      },
      { ...fieldNames, timing: '--cron, --every', name: 'name' },
    );
    const taskQueue = options.taskQueue ?? hostTaskQueue(hostname());
    return withClient(options, async (client, output, server) => {
      const schedule = await client.schedules.create(input);
      output.result('schedule', { ...schedule, taskQueue }, `Created schedule ${name}: ${schedule.timing}${schedule.nextTimes[0] === undefined ? '' : `, next at ${schedule.nextTimes[0]}`}`);
      if (!output.isJson) output.note(`It acts while ${server.isEmbedded ? 'a server runs (file-backup server) and ' : ''}a worker serves the queue ${taskQueue} (file-backup worker).`);
      noteUnserved([schedule], output);
    }, taskQueue);
  });

addKeepOptions(createCommand);

const listCommand = serverCommand('list')
  .description('list schedules')
  .action((options) =>
    withClient(options, async (client, output) => {
      const schedules = await client.schedules.list();
      const head = ['Name', 'When', 'Next (UTC)', 'Last (UTC)', 'Result', 'Runs', 'Skipped', 'Missed', 'Sources', 'Repository'];
      output.result('schedules', { schedules }, schedules.length === 0 ? 'No schedules yet.' : tableLines(head, schedules.map(rowOf)));
      noteUnserved(schedules, output);
    }),
  );

/** Says whose times would come to nothing. */
function noteUnserved(schedules: readonly BackupSchedule[], output: Output): void {
  if (output.isJson) return;
  for (const { name, taskQueue } of schedules.filter(({ isServed, paused }) => !isServed && !paused)) {
    output.note(`No worker polls the queue ${taskQueue} of schedule ${name}: nothing is done until one comes (file-backup worker --task-queue ${taskQueue}).`);
  }
}

function rowOf({ name, timing, paused, nextTimes, recentRuns, lastResult, lastReason, taken, skippedOverlaps, missed, sources, repository }: BackupSchedule): string[] {
  const shortTime = (time: string | undefined): string => time?.slice(0, 19).replace('T', ' ') ?? '';
  return [name, timing, paused ? 'paused' : shortTime(nextTimes[0]), shortTime(recentRuns.at(-1)?.startedAt), resultText(lastResult, lastReason), String(taken), String(skippedOverlaps), String(missed), sources, repository];
}

/** The state, and of a failure its type. */
function resultText(state: BackupSchedule['lastResult'], reason: string | null): string {
  const [type] = reason?.split(':') ?? [];
  return [state ?? '', ...(type === undefined ? [] : [`(${type})`])].join(' ');
}

const changes = {
  pause: ['let a schedule rest', 'Paused'],
  resume: ['let a paused schedule go on', 'Resumed'],
  trigger: ['take a snapshot now, unless one is being taken', 'Triggered'],
  delete: ['remove a schedule; its snapshots stay', 'Deleted'],
} as const;

function changeCommand(change: keyof typeof changes) {
  const [description, done] = changes[change];
  return serverCommand(change)
    .description(description)
    .argument('<name>', 'name of the schedule')
    .action((name, options) =>
      withClient(options, async (client, output) => {
        await client.schedules[change](name);
        output.result(change, { name }, `${done} schedule ${name}`);
        if (change === 'trigger' || change === 'resume') noteUnserved([await client.schedules.describe(name)], output);
      }),
    );
}

export const scheduleCommand = new Command('schedule').description('take snapshots at set times: Temporal Schedules');
for (const command of [createCommand, listCommand, ...(['pause', 'resume', 'trigger', 'delete'] as const).map(changeCommand)]) scheduleCommand.addCommand(command.exitOverride());
