import { Command, Option } from '@commander-js/extra-typings';
import { logLevels, type LogLevel } from '../log-levels';
import { durationMs } from './duration';
import { UsageError } from './exit-codes';

/** Options that every command with a server has. */
export function serverCommand(name: string) {
  return new Command(name)
    .option('--address <host:port>', 'Temporal server; else TEMPORAL_ADDRESS or a Temporal profile, else an embedded server')
    .option('--namespace <name>', 'Temporal namespace')
    .option('--profile <name>', 'profile of the Temporal configuration file')
    .option('--state-dir <directory>', 'where the embedded server keeps its data [FILE_BACKUP_STATE_DIR]')
    .option('--payload-key <file>', 'keys that requests and answers are signed with, or none; else the state directory\'s own [FILE_BACKUP_PAYLOAD_KEY]')
    .option('--encrypt-payloads', 'encrypt what the server gets to see [FILE_BACKUP_ENCRYPT_PAYLOADS]')
    .option('--json', 'print one JSON object a line on standard output', false)
    .addOption(new Option('--log-level <level>', 'structured logs on standard error').choices(logLevels).default('silent' as const));
}

export interface ServerOptions {
  readonly address?: string;
  readonly namespace?: string;
  readonly profile?: string;
  readonly stateDir?: string;
  readonly payloadKey?: string;
  readonly encryptPayloads?: true;
  readonly json: boolean;
  readonly logLevel: LogLevel;
}

/** Of every command that writes to a destination, and of the worker: one name everywhere. */
export const trustDestinationOption = ['--trust-destination', 'write also where users besides this one and root can replace what is written', false] as const;

/** Of every command that starts a run. */
export const replaceOption = ['--replace', 'undo another run that is under way at the same target first, instead of refusing', false] as const;

/** Of every command that follows a run. */
export const serverPatienceOption = ['--server-patience <duration>', 'how long a server that goes away during the run is waited for, such as 90s or 1h', durationMs('--server-patience'), 300_000] as const;

/** Reads a whole number within bounds. */
export function wholeNumber(name: string, least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new UsageError(`${name} must be a whole number from ${least} to ${most}, not "${text}"`);
  };
}

/** Collects the values of an option that may be given several times. */
export function repeated(text: string, before: readonly string[]): string[] {
  return [...before, text];
}
