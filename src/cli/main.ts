#!/usr/bin/env node
import { Command, CommanderError } from '@commander-js/extra-typings';
import { RunNotFoundError, TargetBusyError } from '../client/errors';
import { NoTemporalServerError } from '../server/errors';
import { PayloadKeyError } from '../keys/key-file';
import { StorageError } from '../storage/errors';
import { commandsFor } from './command-table';
import { errorLines } from './error-lines';
import { exitCodes, LostRunError, UsageError, type ExitCode } from './exit-codes';
import { parserOutput } from './parser-output';
import { flush, guardStreams, printNotes, UnwritableOutputError } from '../terminal';
import { version } from '../version';

const program = new Command('file-backup')
  .description('Durable file backups on Temporal: every copy is atomic, verified by reading it back, and undone when its run fails.')
  .version(version)
  .showHelpAfterError('(add --help for the options)')
  .configureHelp({ showGlobalOptions: true })
  .configureOutput(parserOutput);

guardStreams();
process.on('uncaughtException', (error) => endWith(exitCodeOf(error)));
void run().then(endWith);

/** Does what the command line says, and sees to it that whatever is printed can be read. */
async function run(): Promise<ExitCode> {
  const code = await codeOf(() => parse().catch(leaveToFlush));
  const codeOfPrinting = await codeOf(flush);
  return code === exitCodes.done ? codeOfPrinting : code;
}

/** Whatever a command is in when it finds that it cannot print, at the end it is said once. */
function leaveToFlush(error: unknown): void {
  if (!(error instanceof UnwritableOutputError)) throw error;
}

async function codeOf(act: () => Promise<unknown>): Promise<ExitCode> {
  try {
    await act();
    return exitCodes.done;
  } catch (error) {
    return exitCodeOf(error);
  }
}

/**
 * Calls to a server that are still under way must not keep a finished command alive.
 * @param code how it failed; `done` leaves it to what the command says of its own result
 */
function endWith(code: ExitCode): void {
  if (code !== exitCodes.done) process.exitCode = code;
  process.exit();
}

async function parse(): Promise<void> {
  for (const command of await commandsFor(process.argv[2])) {
    for (const each of [command, ...command.commands]) each.configureOutput(parserOutput);
    program.addCommand(command.exitOverride());
  }
  await program.exitOverride().parseAsync();
}

/** Says what went wrong, once, and answers the exit code. */
function exitCodeOf(error: unknown): ExitCode {
  // The parser has printed its message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  const [first = '', ...others] = errorLines(error);
  printNotes([`file-backup: ${first}`, ...others]);
  // What a command says of its own result outlasts that it could not be printed.
  if (error instanceof UnwritableOutputError) return (process.exitCode as ExitCode | undefined) || exitCodes.failed;
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
