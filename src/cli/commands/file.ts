import { statSync } from 'node:fs';
import { fileRequest } from '../../client/run-requests';
import { formatBytes, formatDuration } from '../../core/format';
import { FileBackupInput, type FileBackupOutput } from '../../models';
import { backupCommand, backupRequest, parseRequest } from '../backup-options';
import { doJob } from '../do-job';
import { exitCodeHelp, exitCodes } from '../exit-codes';
import { followFile } from '../follow-file';
import { replaceOption, serverPatienceOption, trustDestinationOption } from '../options';
import { createOutput } from '../output';
import { canonicalFile } from '../paths';
import { fileRoots } from '../run-roots';

const fieldNames = { sourcePath: 'source', backupPath: 'target', operationId: '--operation-id', metadata: '--metadata' };

export const fileCommand = backupCommand('file')
  .description('back one file up: copied atomically, verified by reading it back, undone if anything fails')
  .argument('<source>', 'file to read')
  .argument('<target>', 'full path of the copy; missing directories are created')
  .option('--no-atomic', 'write the target in place: no undo, and readers may see half a file')
  .option(...trustDestinationOption)
  .option(...replaceOption)
  .option(...serverPatienceOption)
  .addHelpText('after', exitCodeHelp)
  .action(async (source, target, options) => {
    const output = createOutput(options.json);
    const paths = { sourcePath: canonicalFile('Source', source), backupPath: canonicalFile('Target', target) };
    const input = parseRequest(FileBackupInput, { ...paths, atomic: options.atomic, ...backupRequest(options) }, fieldNames);
    await doJob<FileBackupOutput>(
      {
        operationId: input.operationId,
        roots: { ...fileRoots(input), trustDestinations: options.trustDestination },
        request: (context) => fileRequest(input, context),
        start: (client) => client.startBackupFile(input),
        follow: (following) => followFile(following, sizeOf(input.sourcePath)),
        exitCode: ({ success }) => (success ? exitCodes.done : exitCodes.failed),
        text: (result) => (result.success ? successLines(result) : null),
        notes: fileNotes,
      },
      options,
      output,
    );
  });

/** For the progress bar alone; whether the file can be backed up is for the worker to say. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Warnings, and why it failed: standard output carries results only. */
function fileNotes(result: FileBackupOutput): string[] {
  return [...result.warnings.map((warning) => `Warning: ${warning}`), ...(result.success ? [] : failureLines(result))];
}

function successLines(result: FileBackupOutput): string[] {
  const verified = result.verified ? `verified by reading it back from the ${result.verifiedFrom}` : 'not verified';
  const facts = [formatBytes(result.backupSizeBytes), verified, formatDuration(result.processingTimeMs), ...(result.retryCount > 0 ? [`${result.retryCount} retries`] : [])];
  return [`Backed up ${result.sourcePath}`, `       to ${result.backupPath}`, `          ${facts.join(', ')}`, `          SHA-256 ${result.sha256}`];
}

const rollbackTexts: Record<FileBackupOutput['rollback']['status'], string> = {
  notNeeded: 'Nothing had been changed.',
  performed: 'Everything was undone: the target is as it was before.',
  failed: 'Undo did not finish; see above for what is left and where.',
  unsupported: 'It was written in place, so it cannot be undone: look at the target.',
};

function failureLines(result: FileBackupOutput): string[] {
  return [`Backup failed: ${result.errorCode}: ${result.errorMessage ?? ''}`, rollbackTexts[result.rollback.status]];
}
