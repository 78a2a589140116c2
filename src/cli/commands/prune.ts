import { formatBytes } from '../../core/format';
import { DATED_IN_FUTURE, isEmptyPolicy, type RetentionPolicy } from '../../core/retention';
import { parseRetentionDuration } from '../../core/retention-duration';
import { TransferControl } from '../../storage/control';
import { acceptAnyDestination } from '../../storage/trust';
import { LEFTOVERS_AFTER_MS, sweepLeftovers, type SweptLeftovers } from '../../storage/snapshot/leftovers';
import { pruneRepository, type DecidedSnapshot, type PrunedGroup, type PruneResult } from '../../storage/snapshot/prune-repository';
import { readRepository } from '../../storage/snapshot/repository';
import { durationMs } from '../duration';
import { exitCodes, repositoryExitCodeHelp, UsageError } from '../exit-codes';
import { addKeepOptions, keepRulesOf } from '../keep-options';
import { leftoverLine } from '../leftovers';
import { localCommand } from '../local-command';
import { repeated, trustDestinationOption } from '../options';
import { createOutput } from '../output';
import { canonicalDirectory, sourcesMeant } from '../paths';
import { futureNotes, snapshotCount, snapshotTable } from '../snapshot-table';

const notDeleted = '3    done, but files of removed snapshots could not be deleted; the next prune tries again';

export const pruneCommand = localCommand('prune')
  .description('remove the snapshots that no --keep option keeps, for each host and set of sources by itself, and what killed runs have left')
  .argument('<repository>', 'directory')
  .option('--host <name>', 'look only at snapshots of this host')
  .option('--tag <tag>', 'look only at those with this tag; given several times, with any of them', repeated, [])
  .option(...trustDestinationOption)
  .option('--source <path>', 'look only at those that this path is a source of; given several times, any of them', repeated, [])
  .option('--read-data', 'read the files of what is to stay, too: a snapshot with damaged files counts for nothing', false)
  .option('--leftovers <duration>', 'remove unfinished snapshots that nobody works on when nothing in them has changed for so long, such as 12h or 0s; 7d unless given', durationMs('--leftovers'))
  .option('--dry-run', 'only show what would be removed', false)
  .addHelpText('after', '\nThe newest complete snapshot of a host and set of sources always stays, and so do damaged ones.')
  .addHelpText('after', repositoryExitCodeHelp('done', ['1    failed, or refused since nothing of a host and set of sources would stay', notDeleted]))
  .action((directory, options, command) => {
    const { within, ...rules } = keepRulesOf(command);
    const policy: RetentionPolicy = { ...rules, within: within === undefined ? undefined : parseRetentionDuration(within) };
    if (isEmptyPolicy(policy) && options.leftovers === undefined) throw new UsageError('Say what to keep with at least one --keep option: nothing is removed by default');
    const { host, tag: tags, source, readData, dryRun } = options;
    const sources = source.flatMap(sourcesMeant);
    acceptAnyDestination(options.trustDestination);
    const repository = canonicalDirectory(directory);
    const nowMs = Date.now();
    const control = new TransferControl();
    const output = createOutput(options.json);
    readRepository(repository);
    const pruned = isEmptyPolicy(policy) ? nothingPruned : pruneRepository({ repository, policy, host, tags, sources, readData, dryRun, nowMs }, control);
    const leftovers = sweepLeftovers({ repository, afterMs: options.leftovers ?? LEFTOVERS_AFTER_MS, dryRun, nowMs }, control);
    const problems = [...pruned.problems, ...leftovers.problems];
    output.result('pruned', { repository, dryRun, ...pruned, problems, leftovers }, output.isJson ? '' : textOf(pruned, leftovers, dryRun, nowMs));
    for (const problem of problems) output.note(`Not deleted yet: ${problem}`);
    if (problems.length > 0) process.exitCode = exitCodes.partly;
  });

addKeepOptions(pruneCommand);

const nothingPruned: PruneResult = { groups: [], damaged: [], removedSnapshots: 0, entries: 0, freedBytes: 0, problems: [] };

function textOf({ groups, damaged, removedSnapshots, freedBytes }: PruneResult, { removed, left }: SweptLeftovers, dryRun: boolean, nowMs: number): string[] {
  const toRemove = groups.reduce((sum, { remove }) => sum + remove.length, 0);
  return [
    ...groups.flatMap(groupLines),
    ...futureNotes(groups.flatMap(({ keep }) => keep.filter(({ reasons }) => reasons.includes(DATED_IN_FUTURE)).map(({ name }) => name))),
    ...damaged.map(({ name, problem }) => `Damaged, not counted and left alone: ${name}: ${problem}`),
    ...removed.map((leftover) => `${dryRun ? 'Would remove' : 'Removed'} ${leftoverLine(leftover, nowMs)}`),
    ...left.map((leftover) => `Left: ${leftoverLine(leftover, nowMs)}; removed after 7 days, or as --leftovers says`),
    dryRun ? `Would remove ${snapshotCount(toRemove)}` : `Removed ${snapshotCount(removedSnapshots)}, freed ${formatBytes(freedBytes)}`,
  ];
}

function groupLines({ host, sources, keep, remove }: PrunedGroup): string[] {
  const lines = [`snapshots of host ${host}, sources ${sources.join(', ')}:`];
  if (keep.length > 0) lines.push(`keep ${snapshotCount(keep.length)}:`, ...snapshotTable(keep.map(toShown), [{ head: 'Reasons', lines: ({ reasons }) => reasons }]));
  if (remove.length > 0) lines.push(`remove ${snapshotCount(remove.length)}:`, ...snapshotTable(remove.map(toShown)));
  return [...lines, ''];
}

function toShown(snapshot: DecidedSnapshot) {
  return { name: snapshot.name, reasons: snapshot.reasons, details: snapshot };
}
