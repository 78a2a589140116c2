import { formatBytes, printablePath } from '../../core/format';
import { isEmptyPolicy, type RetentionPolicy } from '../../core/retention';
import { parseRetentionDuration, type RetentionDuration } from '../../core/retention-duration';
import { TransferControl } from '../../storage/control';
import { pruneRepository, type DecidedSnapshot, type PrunedGroup, type PruneResult } from '../../storage/snapshot/prune-repository';
import { exitCodes, repositoryExitCodeHelp, UsageError } from '../exit-codes';
import { localCommand } from '../local-command';
import { repeated, wholeNumber } from '../options';
import { createOutput } from '../output';
import { canonicalDirectory } from '../paths';
import { snapshotCount, snapshotTable } from '../snapshot-table';

const count = (name: string): ((text: string) => number) => wholeNumber(name, 1, 1_000_000);
const notDeleted = '3    done, but files of removed snapshots could not be deleted; the next prune tries again';

export const pruneCommand = localCommand('prune')
  .description('remove the snapshots that no --keep option keeps, for each host and set of sources by itself')
  .argument('<repository>', 'directory')
  .option('--keep-last <number>', 'keep so many of the newest', count('--keep-last'))
  .option('--keep-hourly <number>', 'keep the newest of each of so many hours that have any', count('--keep-hourly'))
  .option('--keep-daily <number>', 'the same of days', count('--keep-daily'))
  .option('--keep-weekly <number>', 'the same of ISO weeks', count('--keep-weekly'))
  .option('--keep-monthly <number>', 'the same of months', count('--keep-monthly'))
  .option('--keep-yearly <number>', 'the same of years', count('--keep-yearly'))
  .option('--keep-within <duration>', 'keep what is younger than this, counted from the newest, as 2y5m7d3h', readDuration)
  .option('--keep-tag <tag>', 'keep those with this tag; may be repeated', repeated, [])
  .option('--host <name>', 'look only at snapshots of this host')
  .option('--tag <tag>', 'look only at those with this tag; given several times, with any of them', repeated, [])
  .option('--dry-run', 'only show what would be removed', false)
  .addHelpText('after', '\nThe newest complete snapshot of a host and set of sources always stays, and so do damaged ones.')
  .addHelpText('after', repositoryExitCodeHelp('done', ['1    failed, or refused since nothing of a host and set of sources would stay', notDeleted]))
  .action((directory, options) => {
    const { keepLast: last, keepHourly: hourly, keepDaily: daily, keepWeekly: weekly, keepMonthly: monthly, keepYearly: yearly, keepWithin: within, keepTag } = options;
    const policy: RetentionPolicy = { last, hourly, daily, weekly, monthly, yearly, within, tags: keepTag };
    if (isEmptyPolicy(policy)) throw new UsageError('Say what to keep with at least one --keep option: nothing is removed by default');
    const { host, tag: tags, dryRun } = options;
    const repository = canonicalDirectory(directory);
    const result = pruneRepository({ repository, policy, host, tags, dryRun, nowMs: Date.now() }, new TransferControl());
    const output = createOutput(options.json);
    output.result('pruned', { repository, dryRun, ...result }, output.isJson ? '' : textOf(result, dryRun));
    for (const problem of result.problems) output.note(`Not deleted yet: ${printablePath(problem)}`);
    if (result.problems.length > 0) process.exitCode = exitCodes.partly;
  });

function readDuration(text: string): RetentionDuration {
  const duration = parseRetentionDuration(text);
  if (duration !== undefined) return duration;
  throw new UsageError(`--keep-within must be a duration such as 2y5m7d3h, not "${text}"`);
}

function textOf({ groups, damaged, removedSnapshots, freedBytes }: PruneResult, dryRun: boolean): string {
  const toRemove = groups.reduce((sum, { remove }) => sum + remove.length, 0);
  return [
    ...groups.map(groupText),
    ...damaged.map(({ name, problem }) => `Damaged, left alone: ${name}: ${printablePath(problem)}`),
    dryRun ? `Would remove ${snapshotCount(toRemove)}` : `Removed ${snapshotCount(removedSnapshots)}, freed ${formatBytes(freedBytes)}`,
  ].join('\n');
}

function groupText({ host, sources, keep, remove }: PrunedGroup): string {
  const lines = [`snapshots of host ${printablePath(host)}, sources ${sources.map(printablePath).join(', ')}:`];
  if (keep.length > 0) lines.push(`keep ${snapshotCount(keep.length)}:`, snapshotTable(keep.map(toShown), [{ head: 'Reasons', lines: ({ reasons }) => reasons }]));
  if (remove.length > 0) lines.push(`remove ${snapshotCount(remove.length)}:`, snapshotTable(remove.map(toShown)));
  return `${lines.join('\n')}\n`;
}

function toShown(snapshot: DecidedSnapshot) {
  return { name: snapshot.name, reasons: snapshot.reasons, details: snapshot };
}
