import { hostname } from 'node:os';
import { Option } from '@commander-js/extra-typings';
import { BatchBackupInput, type BatchBackupOutput, type BatchBackupRequest } from '../../batch-models';
import { batchRequest } from '../../client/run-requests';
import { hostTaskQueue } from '../../core/names';
import { backupCommand, backupRequest, parseRequest } from '../backup-options';
import { batchExitCode, batchText, failureLines } from '../batch-report';
import { doJob } from '../do-job';
import { batchExitCodeHelp, UsageError } from '../exit-codes';
import { followBatch } from '../follow-batch';
import { replaceOption, serverPatienceOption, trustDestinationOption, wholeNumber } from '../options';
import { createOutput } from '../output';
import { canonicalDirectory } from '../paths';
import { batchRoots } from '../run-roots';
import { listDirectoryOf } from '../server-session';
import { prepareList, type PreparedList } from '../source-list';

const fieldNames = { sources: 'files', sourceList: '--files-from', backupDir: '--to', operationId: '--operation-id', metadata: '--metadata' };

export const batchCommand = backupCommand('batch')
  .description('back many files up: each copied atomically and verified; failures do not stop the others')
  .argument('[files...]', 'files to read')
  .requiredOption('--to <directory>', 'directory that gets the copies; created if missing')
  .option('--files-from <list>', 'read the files from a list, one a line; - is standard input')
  .option('-0, --from0', 'entries of the list end with NUL, as find -print0 writes them', false)
  .addOption(new Option('--layout <layout>', 'flat: NAME.backup; tree: the full path below the directory').choices(['flat', 'tree']).default('flat' as const))
  .addOption(new Option('--on-failure <action>', 'continue: back the others up; roll-back: all or nothing').choices(['continue', 'roll-back']).default('continue' as const))
  .option('--rehash', 'copy every file, also those that look as the last run left them', false)
  .option('--lanes <number>', 'chunks of files at a time, 1 to 64', wholeNumber('--lanes', 1, 64))
  .option(...trustDestinationOption)
  .option(...replaceOption)
  .option(...serverPatienceOption)
  .addHelpText('after', batchExitCodeHelp)
  .action(async (files, options) => {
    const output = createOutput(options.json);
    const list = await readList(files, options);
    const { to, layout, onFailure, rehash, lanes } = options;
    const request: BatchBackupRequest = {
      ...list.request,
      backupDir: canonicalDirectory(to),
      layout,
      onFailure: onFailure === 'roll-back' ? 'rollBack' : 'continue',
      rehash,
      ...(lanes === undefined ? {} : { lanes }),
      ...backupRequest(options),
    };
    const input = parseRequest(BatchBackupInput, request, fieldNames);
    const isOver = await doJob<BatchBackupOutput>(
      {
        operationId: input.operationId,
        roots: { ...batchRoots(input, list.roots), trustDestinations: options.trustDestination },
        request: (context) => batchRequest(input, context),
        start: (client) => client.startBackupBatch(input),
        follow: followBatch,
        ...{ exitCode: batchExitCode, text: batchText, notes: failureLines },
      },
      options,
      output,
    );
    // A run that is not over may still have to read it.
    if (isOver) list.discard();
  });

interface ListOptions {
  readonly filesFrom?: string;
  readonly from0: boolean;
  readonly taskQueue?: string;
  readonly stateDir?: string;
}

/** A long list has to be where the worker can read it: this host, unless workers elsewhere do the job. */
async function readList(files: readonly string[], options: ListOptions): Promise<PreparedList> {
  if (options.from0 && options.filesFrom === undefined) throw new UsageError('--from0 says how a list is separated: name the list with --files-from');
  const list = await prepareList({ files, filesFrom: options.filesFrom, isNulSeparated: options.from0 }, listDirectoryOf(options));
  const isElsewhere = options.taskQueue !== undefined && options.taskQueue !== hostTaskQueue(hostname());
  if (!isElsewhere || list.request.sources !== undefined) return list;
  list.discard();
  const { filesFrom } = options;
  if (filesFrom === undefined || filesFrom === '-' || files.length > 0) {
    throw new UsageError(`${list.entries} files are too many to send to another host: put the list into a file there, below a --source-root of its worker, with absolute paths, and name it with --files-from`);
  }
  return { ...list, request: { sourceList: { path: filesFrom, separator: options.from0 ? 'nul' : 'newline', sha256: list.fileSha256 ?? '', entries: list.entries } } };
}
