import { join } from 'node:path';
import { Option } from '@commander-js/extra-typings';
import { restoreRequest } from '../../client/run-requests';
import { formatBytes } from '../../core/format';
import { RestoreInput, type RestoreOutput } from '../../restore-models';
import { pathText } from '../../storage/path-bytes';
import { readRepository } from '../../storage/snapshot/repository';
import { previewRestore, type PreviewAction } from '../../storage/snapshot/restore/preview-restore';
import { acceptAnyDestination } from '../../storage/trust';
import { findSnapshot } from '../../storage/snapshot/snapshot-record';
import { parseRequest, runOptions, runRequest } from '../backup-options';
import { doJob } from '../do-job';
import { exitCodes, restoreExitCodeHelp, UsageError } from '../exit-codes';
import { followBatch } from '../follow-batch';
import { replaceOption, serverCommand, serverPatienceOption, trustDestinationOption, wholeNumber } from '../options';
import { createOutput, type Output } from '../output';
import { canonicalDirectory, nearestDirectory } from '../paths';
import { restoreRoots } from '../run-roots';
import { leftOutText, restoreExitCode, restoreNotes, restoreText } from '../restore-report';

const fieldNames = { repository: 'repository', snapshot: 'snapshot', target: '--to', paths: 'paths', operationId: '--operation-id', metadata: '--metadata' };
const overwrites = { always: 'always', 'if-changed': 'ifChanged', never: 'never' } as const;

export const restoreCommand = runOptions(serverCommand('restore'))
  .description('restore a snapshot, or parts of it: each file copied atomically and verified against the digest that was recorded')
  .argument('<repository>', 'repository')
  .argument('[snapshot]', 'name or id of the snapshot, or latest', 'latest')
  .argument('[paths...]', 'entries, each with everything below it; all of them unless given')
  .requiredOption('--to <directory>', 'everything gets its full path below this directory; / puts it back where it was')
  .addOption(new Option('--overwrite <when>', 'replace what exists: always, if size or time differ, or never').choices(['always', 'if-changed', 'never']).default('always' as const))
  .option('--with-owners', 'also set recorded owners other than your own, and set-user-id, set-group-id and sticky bits; only from a repository that you or root own', false)
  .option('-n, --dry-run', 'say what would be done for each entry, and write nothing', false)
  .option('--lanes <number>', 'chunks of files at a time, 1 to 64', wholeNumber('--lanes', 1, 64))
  .option(...trustDestinationOption)
  .option(...replaceOption)
  .option(...serverPatienceOption)
  .addHelpText('after', restoreExitCodeHelp)
  .action(async (repository, snapshot, paths, options) => {
    const output = createOutput(options.json);
    const input = parseRequest(
      RestoreInput,
      {
        repository: canonicalDirectory(repository),
        snapshot,
        target: canonicalDirectory(options.to),
        paths: paths.map(recordedPath),
        overwrite: overwrites[options.overwrite],
        withOwners: options.withOwners,
        ...(options.lanes === undefined ? {} : { lanes: options.lanes }),
        ...runRequest(options),
      },
      fieldNames,
    );
    if (options.taskQueue === undefined) requireSnapshot(input);
    acceptAnyDestination(options.trustDestination);
    if (options.dryRun) return preview(input, output);
    await doJob<RestoreOutput>(
      {
        operationId: input.operationId,
        roots: { ...restoreRoots(input), trustDestinations: options.trustDestination },
        request: (context) => restoreRequest(input, context),
        start: (client) => client.startRestoreSnapshot(input),
        follow: followBatch,
        ...{ exitCode: restoreExitCode, text: restoreText, notes: restoreNotes },
      },
      options,
      output,
    );
  });

/** @throws StorageError `RepositoryNotFound`, `SnapshotNotFound` */
function requireSnapshot({ repository, snapshot }: RestoreInput): void {
  readRepository(repository);
  findSnapshot(repository, snapshot);
}

/** Paths are those of the snapshot, not of this machine: nothing is looked up. */
function recordedPath(typed: string): string {
  if (!typed.startsWith('/')) throw new UsageError(`Path ${typed} must be absolute, as the snapshot has it; see "file-backup ls"`);
  return typed.length > 1 && typed.endsWith('/') ? typed.slice(0, -1) : typed;
}

function preview(input: RestoreInput, output: Output): void {
  const { repository, snapshot, target, paths, overwrite, withOwners } = input;
  const counts: Record<PreviewAction, number> = { restored: 0, unchanged: 0, kept: 0, conflict: 0, skipped: 0 };
  let restoredBytes = 0;
  let rightsLeftOut = 0;
  const request = { root: nearestDirectory(join(target, '-')), destination: target, repositoryRoot: repository, repository, snapshot, paths, overwrite, withOwners };
  for (const { path, type, action, sizeBytes, reason, areRightsLeftOut } of previewRestore(request)) {
    counts[action] += 1;
    if (areRightsLeftOut) rightsLeftOut += 1;
    if (action === 'restored') restoredBytes += sizeBytes;
    const name = pathText(path);
    output.event('entry', { path: pathText(path), type, action, sizeBytes, reason }, `${action} ${name}${type === 'file' ? `, ${sizeBytes} bytes` : ''}${reason === undefined ? '' : `: ${reason}`}`);
  }
  process.exitCode = counts.conflict > 0 ? exitCodes.partly : exitCodes.done;
  const text = `Would restore ${counts.restored} files/dirs (${formatBytes(restoredBytes)}), leave ${counts.unchanged} unchanged and ${counts.kept} as they are, skip ${counts.skipped}, and fail on ${counts.conflict}`;
  const leftOut = leftOutText(rightsLeftOut);
  output.result('preview', { ...counts, restoredBytes, rightsLeftOut }, leftOut === undefined ? text : [text, `Rights: ${leftOut}`]);
}
