import { Option } from '@commander-js/extra-typings';
import type { z } from 'zod';
import { InvalidInputError, parseModel } from '../models';
import { UsageError } from './exit-codes';
import { serverCommand, wholeNumber } from './options';

/** A command with the options that backing up has, of one file and of many. */
export function backupCommand(name: string) {
  return runOptions(serverCommand(name)).addOption(new Option('--changed <action>', 'when a source changes while it is read').choices(['fail', 'accept']).default('fail' as const));
}

/** Adds the options that all runs have which copy files, whichever way. */
export function runOptions(command: ReturnType<typeof serverCommand>) {
  return command
    .option('--no-verify', 'do not read the copies back')
    .addOption(new Option('--verify-from <where>', 'read copies back from the device or the page cache').choices(['device', 'cache']).default('device' as const))
    .option('--max-retries <number>', 'retries of each step, 0 to 10', wholeNumber('--max-retries', 0, 10), 3)
    .option('--retry-delay-ms <number>', 'wait before the first retry, 100 to 30000; doubles each time', wholeNumber('--retry-delay-ms', 100, 30_000), 1000)
    .addOption(new Option('--on-circuit-open <action>', 'when the destination failed too often').choices(['wait', 'fail']).default('wait' as const))
    .option('--operation-id <uuid>', 'sent twice, an operation runs once')
    .option('--metadata <key=value>', 'free text for tracing; may be repeated', collectMetadata, {})
    .option('--task-queue <name>', 'let the workers of this queue do it instead of this process');
}

/** What `runOptions` has parsed. */
interface RunOptions {
  readonly verify: boolean;
  readonly verifyFrom: 'device' | 'cache';
  readonly maxRetries: number;
  readonly retryDelayMs: number;
  readonly onCircuitOpen: 'wait' | 'fail';
  readonly operationId?: string;
  readonly metadata: Record<string, string>;
}

/** What `backupCommand` has parsed. */
export interface BackupOptions extends RunOptions {
  readonly changed: 'fail' | 'accept';
}

/** The part of an input that `runOptions` make. */
export function runRequest({ verify, verifyFrom, maxRetries, retryDelayMs, onCircuitOpen, operationId, metadata }: RunOptions) {
  return { verifyBackup: verify, verifyFrom, maxRetries, retryDelayMs, onCircuitOpen, metadata, ...(operationId === undefined ? {} : { operationId }) };
}

/** The part of an input that the options of `backupCommand` make. */
export function backupRequest(options: BackupOptions) {
  return { ...runRequest(options), onSourceChanged: options.changed };
}

/**
 * Parses what a command line asks for.
 * @param fieldNames what fields of the input are called on the command line
 * @throws UsageError with a line for each problem
 */
export function parseRequest<Schema extends z.ZodType>(schema: Schema, request: z.input<Schema>, fieldNames: Readonly<Record<string, string>>): z.output<Schema> {
  try {
    return parseModel(schema, request);
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    const { issues } = error.cause as z.ZodError;
    const problems = issues.map(({ path: [field = ''], message }) => `${fieldNames[String(field)] ?? String(field)}: ${message}`);
    throw new UsageError(...problems.map((problem, index) => (index === 0 ? problem : `file-backup: ${problem}`)));
  }
}

function collectMetadata(text: string, before: Record<string, string>): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`--metadata must be key=value, not "${text}"`);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
