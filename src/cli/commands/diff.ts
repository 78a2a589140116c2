import { formatBytes } from '../../core/format';
import { toJsonPath } from '../../storage/path-bytes';
import { compareEntries, type Change, type Difference } from '../../storage/snapshot/compare-entries';
import { countDifference, noDifferences, type DifferenceCounts, type KindCounts } from '../../storage/snapshot/difference-counts';
import type { SnapshotEntry } from '../../storage/snapshot/entry';
import { openSnapshot, type OpenSnapshot } from '../../storage/snapshot/metadata';
import { readRepository } from '../../storage/snapshot/repository';
import { findSnapshot } from '../../storage/snapshot/snapshot-record';
import { printStream } from '../../terminal';
import { failureText, shownPath } from '../entry-line';
import { repositoryExitCodeHelp } from '../exit-codes';
import { localCommand } from '../local-command';
import { createOutput, jsonLine } from '../output';
import { canonicalDirectory } from '../paths';

const legend = `
What the lines begin with:
  +  added            M  content changed
  -  removed          U  mode, owner or time changed, with --metadata
  T  type changed     !  failed in one of the snapshots`;

export const diffCommand = localCommand('diff')
  .description('show what two snapshots differ in')
  .argument('<repository>', 'directory')
  .argument('<before>', 'latest, a name, or the beginning of an id or name')
  .argument('<after>', 'the same')
  .option('--metadata', 'show also what differs in mode, owner or time only', false)
  .addHelpText('after', `${legend}\n${repositoryExitCodeHelp('compared, whether they differ or not')}`)
  .action(async (directory, wantedBefore, wantedAfter, options) => {
    const repository = canonicalDirectory(directory);
    readRepository(repository);
    const open = (wanted: string): OpenSnapshot => openSnapshot(repository, findSnapshot(repository, wanted));
    const [before, after] = [open(wantedBefore), open(wantedAfter)];
    let counts = noDifferences;
    const lines = function* (): Generator<string> {
      for (const difference of compareEntries(before.entries(), after.entries())) {
        counts = countDifference(counts, difference);
        if (difference.change === 'metadata' && !options.metadata) continue;
        yield options.json ? jsonLineOf(difference) : line(difference);
      }
    };
    const output = createOutput(options.json);
    if (!output.isJson) output.note(`comparing snapshot ${before.name} to ${after.name}`);
    if (!(await printStream(lines()))) return;
    output.result('differences', { repository, before: before.name, after: after.name, ...counts }, summary(counts));
  });

const letters: Readonly<Record<Change, string>> = { added: '+', removed: '-', content: 'M', metadata: 'U', type: 'T', unknown: '!' };

function line({ path, change, before, after }: Difference): string {
  const slash = (after ?? before)?.type === 'directory' ? '/' : '';
  const failures = [failureIn('before', before), failureIn('after', after)].filter((text) => text !== '').join('; ');
  return `${letters[change].padEnd(5)}${shownPath(toJsonPath(path))}${slash}${failures === '' ? '' : `  (${failures})`}`;
}

function failureIn(which: string, entry: SnapshotEntry | undefined): string {
  return entry?.state === 'failed' ? `${which}: ${failureText(entry)}` : '';
}

function jsonLineOf({ path, change, before, after }: Difference): string {
  return jsonLine('difference', { change, modifier: letters[change], path: toJsonPath(path), before: before ?? null, after: after ?? null });
}

function summary(counts: DifferenceCounts): string[] {
  const numbers = (name: string, { added, removed, changed }: KindCounts): string =>
    `${name.padEnd(10)} ${String(added).padStart(5)} new, ${String(removed).padStart(5)} removed, ${String(changed).padStart(5)} changed`;
  return [
    '',
    numbers('Files:', counts.files),
    numbers('Dirs:', counts.directories),
    numbers('Others:', counts.others),
    ...(counts.metadataOnly === 0 ? [] : [`Metadata:  ${String(counts.metadataOnly).padStart(5)} changed in nothing else`]),
    ...(counts.unknown === 0 ? [] : [`Failed:    ${String(counts.unknown).padStart(5)} cannot be compared`]),
    `  Added:   ${formatBytes(counts.addedBytes)}`,
    `  Removed: ${formatBytes(counts.removedBytes)}`,
  ];
}
