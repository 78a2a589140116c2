import { resolve } from 'node:path';
import { snapshotRequest } from '../../client/run-requests';
import { SnapshotInput, type SnapshotOutput } from '../../snapshot-models';
import { TransferControl } from '../../storage/control';
import { previewSnapshot, type PreviewedFile, type SnapshotPreview } from '../../storage/snapshot/preview-snapshot';
import { readRepository } from '../../storage/snapshot/repository';
import { backupCommand, backupRequest, parseRequest } from '../backup-options';
import { doJob } from '../do-job';
import { exitCodes, snapshotExitCodeHelp } from '../exit-codes';
import { followBatch } from '../follow-batch';
import { replaceOption, serverPatienceOption, trustDestinationOption } from '../options';
import { createOutput, type Output } from '../output';
import { snapshotRoots } from '../run-roots';
import { stateDirectoryOf } from '../server-session';
import { fieldNames, snapshotOptions, snapshotRequestOf, typedExcludes } from '../snapshot-options';
import { idleNotes, previewText, snapshotExitCode, snapshotNotes, snapshotText } from '../snapshot-report';

export const snapshotCommand = snapshotOptions(backupCommand('snapshot'))
  .description('take a snapshot of directory trees: complete, browsable, at the cost of what changed since the last one')
  .argument('<sources...>', 'directories or files')
  .option('--parent <snapshot>', 'take what is unchanged from this snapshot: a name, an id, latest, or none; found source by source unless given')
  .option('-n, --dry-run', 'say what would be copied, and write nothing', false)
  .option('-v, --verbose', 'with --dry-run: name every file that would be copied', false)
  .option(...trustDestinationOption)
  .option(...replaceOption)
  .option(...serverPatienceOption)
  .addHelpText('after', snapshotExitCodeHelp)
  .action(async (sources, options) => {
    const output = createOutput(options.json);
    const input = parseRequest(SnapshotInput, { ...snapshotRequestOf(sources, options), ...backupRequest(options), ...(options.parent === undefined ? {} : { parent: options.parent }) }, fieldNames);
    if (options.taskQueue === undefined) readRepository(input.repository);
    // Files of patterns serve many places: what some of them find nothing in is not worth a word.
    const typed = typedExcludes(sources, options);
    const idleOf = ({ idleExcludes }: Pick<SnapshotPreview, 'idleExcludes'>): string[] => idleExcludes.filter((pattern) => typed.includes(pattern));
    if (options.dryRun) return preview(input, stateDirectoryOf(options), output, options.verbose, idleOf);
    await doJob<SnapshotOutput>(
      {
        operationId: input.operationId,
        roots: { ...snapshotRoots(input), trustDestinations: options.trustDestination },
        request: (context) => snapshotRequest(input, context),
        start: (client) => client.startBackupSnapshot(input),
        follow: followBatch,
        ...{ exitCode: snapshotExitCode, text: snapshotText, notes: (result) => snapshotNotes({ ...result, idleExcludes: idleOf(result) }) },
      },
      options,
      output,
    );
  });

function preview(input: SnapshotInput, stateDirectory: string, output: Output, isVerbose: boolean, idleOf: (preview: Pick<SnapshotPreview, 'idleExcludes'>) => string[]): void {
  const { repository, host, rehash, parent, oneFileSystem, excludes, excludeCaches, maxFileSizeBytes, allowMissing, allowEmpty } = input;
  const request = {
    ...{ repository, host, rehash, parent, oneFileSystem, allowMissing, allowEmpty },
    sources: input.sources.map((path) => ({ path, root: path })),
    excludes: { patterns: excludes, caches: excludeCaches, maxSizeBytes: maxFileSizeBytes },
    leaveOut: [repository, resolve(stateDirectory)],
  };
  const onFile = (file: PreviewedFile): void => {
    if (isVerbose) output.event('file', file, `${file.state} ${file.path}, ${file.sizeBytes} bytes`);
  };
  const preview = previewSnapshot(request, onFile, new TransferControl());
  output.result('preview', preview, previewText(preview));
  if (!output.isJson) preview.leftOut.forEach((path) => output.note(`Left out by itself: ${path}`));
  if (!output.isJson) output.note(idleNotes(idleOf(preview)));
  if (!output.isJson) preview.failures.forEach(({ failure }) => output.note(`Would fail: ${failure.message}`));
  if (!output.isJson && preview.failed > preview.failures.length) output.note(`and ${preview.failed - preview.failures.length} more`);
  process.exitCode = preview.failed > 0 ? exitCodes.partly : exitCodes.done;
}
