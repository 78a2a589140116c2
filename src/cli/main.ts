#!/usr/bin/env node
import { Command } from '@commander-js/extra-typings';
import { commandsFor } from './command-table';
import { commandFailureOf } from './command-failure';
import { exitCodes, type ExitCode } from './exit-codes';
import { jsonLine } from './output';
import { parserOutput } from './parser-output';
import { flush, guardStreams, printLines, printNotes, UnwritableOutputError } from '../terminal';
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

/** Says what went wrong, once, with `--json` to scripts too, and answers the exit code. */
function exitCodeOf(error: unknown): ExitCode {
  const failure = commandFailureOf(error);
  if (failure === undefined) return exitCodes.done;
  const { lines: [first, ...others], exitCode, errorCode, errorMessage } = failure;
  if (first !== undefined) printNotes([`file-backup: ${first}`, ...others]);
  if (isJsonAsked()) printLines([jsonLine('error', { errorCode, errorMessage, exitCode })]);
  return exitCode;
}

/** Also for a command line that the parser has refused. */
function isJsonAsked(): boolean {
  const end = process.argv.indexOf('--');
  return process.argv.slice(0, end < 0 ? undefined : end).includes('--json');
}
