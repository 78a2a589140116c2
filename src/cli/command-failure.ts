import { CommanderError } from '@commander-js/extra-typings';
import { NoTemporalServerError } from '../server/errors';
import { PayloadKeyError } from '../keys/key-file';
import { failureTypeOf, isFailureType, type FailureType } from '../failures';
import { StorageError } from '../storage/errors';
import { UnwritableOutputError } from '../terminal';
import { errorLines } from './error-lines';
import { exitCodes, LostRunError, UsageError, type ExitCode } from './exit-codes';

/** Why a command has failed, for people, scripts and the shell. */
export interface CommandFailure {
  readonly errorCode: FailureType;
  readonly exitCode: ExitCode;
  /** Without what the parser of the command line has printed itself. */
  readonly lines: readonly string[];
  readonly errorMessage: string;
}

/** What a command has thrown; undefined for help and version, which the parser throws too. */
export function commandFailureOf(error: unknown): CommandFailure | undefined {
  if (error instanceof CommanderError) return error.exitCode === 0 ? undefined : { errorCode: 'InvalidInput', exitCode: exitCodes.usage, lines: [], errorMessage: error.message.replace(/^error: /, '') };
  const lines = errorLines(error);
  return { errorCode: errorCodeOf(error), exitCode: exitCodeOf(error), lines, errorMessage: lines.join(' ') };
}

function errorCodeOf(error: unknown): FailureType {
  if (error instanceof StorageError) return failureTypeOf(error.code, error.side);
  const { errorCode } = Object(error) as { readonly errorCode?: unknown };
  if (isFailureType(errorCode)) return errorCode;
  return isConnectionError(error) ? 'NoTemporalServer' : 'UnexpectedError';
}

function exitCodeOf(error: unknown): ExitCode {
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
  if (!(error instanceof Error) || 'errorCode' in error) return false;
  return error.name === 'TransportError' || /failed to connect|UNAVAILABLE|Failed to call GetSystemInfo/i.test(error.message);
}
