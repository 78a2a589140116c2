#!/usr/bin/env node
import { Command, CommanderError } from '@commander-js/extra-typings';
import { RunNotFoundError, TargetBusyError } from '../client/errors';
import { NoTemporalServerError } from '../server/errors';
import { batchCommand } from './commands/batch';
import { cancelCommand } from './commands/cancel';
import { checkCommand } from './commands/check';
import { codecServerCommand } from './commands/codec-server';
import { diffCommand } from './commands/diff';
import { fileCommand } from './commands/file';
import { initCommand } from './commands/init';
import { lsCommand } from './commands/ls';
import { pauseCommand, resumeCommand } from './commands/pause';
import { pruneCommand } from './commands/prune';
import { restoreCommand } from './commands/restore';
import { runsCommand } from './commands/runs';
import { scheduleCommand } from './commands/schedule';
import { serverCommandLine } from './commands/server';
import { snapshotCommand } from './commands/snapshot';
import { snapshotsCommand } from './commands/snapshots';
import { statsCommand } from './commands/stats';
import { statusCommand } from './commands/status';
import { workerCommand } from './commands/worker';
import { PayloadKeyError } from '../keys/key-file';
import { StorageError } from '../storage/errors';
import { errorLines } from './error-lines';
import { exitCodes, LostRunError, UsageError, type ExitCode } from './exit-codes';
import { parserOutput } from './parser-output';
import { flush, printNotes } from '../terminal';
import { version } from '../version';

const program = new Command('file-backup')
  .description('Durable file backups on Temporal: every copy is atomic, verified by reading it back, and undone when its run fails.')
  .version(version)
  .showHelpAfterError('(add --help for the options)')
  .configureHelp({ showGlobalOptions: true })
  .configureOutput(parserOutput);

for (const command of [fileCommand, batchCommand, initCommand, snapshotCommand, snapshotsCommand, lsCommand, diffCommand, restoreCommand, checkCommand, pruneCommand, scheduleCommand, runsCommand, statusCommand, pauseCommand, resumeCommand, cancelCommand, statsCommand, workerCommand, serverCommandLine, codecServerCommand]) {
  for (const each of [command, ...command.commands]) each.configureOutput(parserOutput);
  program.addCommand(command.exitOverride());
}

/** Fit for `file-backup runs | head`: a reader that has gone is no error. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

program
  .exitOverride()
  .parseAsync()
  .catch((error: unknown) => {
    process.exitCode = exitCodeOf(error);
  })
  // Calls to a server that are still under way must not keep a finished command alive. What was printed into a pipe is
  // still to be read.
  .finally(() => void flush().then(() => process.exit()));

/** Says what went wrong, once, and answers the exit code. */
function exitCodeOf(error: unknown): ExitCode {
  // The parser has printed its message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  const [first = '', ...others] = errorLines(error);
  printNotes([`file-backup: ${first}`, ...others]);
  if (error instanceof StorageError) return notFound.includes(error.code) ? exitCodes.notFound : exitCodes.failed;
  if (error instanceof UsageError || error instanceof PayloadKeyError) return exitCodes.usage;
  if (error instanceof LostRunError) return exitCodes.interrupted;
  if (error instanceof NoTemporalServerError || isConnectionError(error)) return exitCodes.noServer;
  return exitCodes.failed;
}

/** Codes of what is not there: exit 10. */
const notFound: readonly string[] = ['RepositoryNotFound', 'SnapshotNotFound'];

/** Both of Temporal's clients say it their own way. */
function isConnectionError(error: unknown): boolean {
  if (error instanceof RunNotFoundError || error instanceof TargetBusyError || !(error instanceof Error)) return false;
  return error.name === 'TransportError' || /failed to connect|UNAVAILABLE|Failed to call GetSystemInfo/i.test(error.message);
}
