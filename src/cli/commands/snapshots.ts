import { isAskedFor, snapshotGroup } from '../../core/snapshot-group';
import { readRepository } from '../../storage/snapshot/repository';
import { futureNames, listSnapshots, type ListedSnapshot } from '../../storage/snapshot/snapshot-record';
import { repositoryExitCodeHelp } from '../exit-codes';
import { localCommand } from '../local-command';
import { repeated, wholeNumber } from '../options';
import { createOutput } from '../output';
import { canonicalDirectory, sourcesMeant } from '../paths';
import { futureNotes, snapshotCount, snapshotTable } from '../snapshot-table';

export const snapshotsCommand = localCommand('snapshots')
  .description('list the snapshots of a repository, newest last; damaged ones are always among them')
  .argument('<repository>', 'directory')
  .option('--host <name>', 'only those of this host')
  .option('--tag <tag>', 'only those with this tag; given several times, with any of them', repeated, [])
  .option('--source <path>', 'only those that this path is a source of')
  .option('--latest <number>', 'only so many of each host and sources, the newest', wholeNumber('--latest', 1, 1_000_000))
  .addHelpText('after', repositoryExitCodeHelp('listed'))
  .action((directory, options) => {
    const repository = canonicalDirectory(directory);
    readRepository(repository);
    const { host, tag: tags, source, latest } = options;
    const sources = source === undefined ? [] : sourcesMeant(source);
    const asked = listSnapshots(repository).filter(({ record }) => record === undefined || isAskedFor(record, { host, tags, sources }));
    const future = futureNames(asked.map(({ name }) => name), Date.now());
    const snapshots = latest === undefined ? asked : newestOfGroups(asked, latest, future);
    const output = createOutput(options.json);
    output.result('snapshots', { repository, snapshots: snapshots.map((snapshot) => toJson(snapshot, future)) }, output.isJson ? '' : textOf(snapshots, future));
  });

/** At most so many of each group, in their order; damaged ones and those of the future do not count. */
function newestOfGroups(snapshots: readonly ListedSnapshot[], count: number, future: readonly string[]): ListedSnapshot[] {
  const seen = new Map<string, number>();
  const isAmongNewest = ({ name, record }: ListedSnapshot): boolean => {
    if (record === undefined || future.includes(name)) return true;
    const group = snapshotGroup(record);
    const newer = seen.get(group) ?? 0;
    seen.set(group, newer + 1);
    return newer < count;
  };
  return [...snapshots].reverse().filter(isAmongNewest).reverse();
}

function toJson({ name, record, problem }: ListedSnapshot, future: readonly string[]): object {
  const inFuture = future.includes(name);
  return record === undefined ? { name, state: 'damaged', problem, inFuture } : { ...record, state: record.status, inFuture };
}

function textOf(snapshots: readonly ListedSnapshot[], future: readonly string[]): string[] {
  if (snapshots.length === 0) return ['No snapshots.'];
  const table = snapshotTable(snapshots.map(({ name, record }) => ({ name, details: record && { ...record, ...record.counts } })));
  const problems = snapshots.flatMap(({ name, problem }) => (problem === undefined ? [] : [`Damaged: ${name}: ${problem}`]));
  return [...table, ...problems, ...futureNotes(future), `${snapshotCount(snapshots.length)}, times are local`];
}
