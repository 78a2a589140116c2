import { isNativeError } from 'node:util/types';
import { DefaultLogger, Runtime, type LogLevel as TemporalLogLevel } from '@temporalio/worker';
import { destination, pino, type Logger } from 'pino';
import { withoutContent } from './core/error-message';
import { printable } from './core/printable';
import type { LogLevel } from './log-levels';

/** Of what could not be written, so much is kept to be tried again. */
const MAX_UNWRITTEN_CHARACTERS = 1024 * 1024;

/**
 * Structured logs, one JSON object a line, on standard error: standard output belongs to results. Lines may be read on a
 * terminal, so each is made printable, which leaves it equal JSON; errors are logged without what parsers quote.
 */
export function createLogger(level: LogLevel): Logger {
  const serializers = { err: loggedError, error: loggedError };
  // What cannot be written is dropped: a full disk or a reader that has gone ends no backup.
  const standardError = destination({ fd: 2, sync: true, maxLength: MAX_UNWRITTEN_CHARACTERS }).on('error', () => undefined);
  const lines = { write: (line: string): void => void standardError.write(`${printable(line.trimEnd())}\n`) };
  return pino({ name: 'file-backup', level, base: { pid: process.pid }, serializers, redact: { paths: ['taskToken'], remove: true } }, lines);
}

/** Fields of ours named `error` may hold a message instead. Not by instanceof: errors of workflows are of another realm. */
function loggedError(value: unknown): unknown {
  if (!isNativeError(value)) return value;
  const { name, message, stack, cause } = withoutContent(value);
  return { type: name, message, stack, ...(cause === undefined ? {} : { cause: loggedError(cause) }) };
}

interface RuntimeOptions {
  readonly log: Logger;
  /** Serves Prometheus metrics there, as `127.0.0.1:9464`. */
  readonly metricsAddress?: string;
}

/**
 * Sets the process up for Temporal: its logs go to our logger, and signals are left to us. Once per process, before
 * any connection of a worker.
 */
export function installRuntime({ log, metricsAddress }: RuntimeOptions): void {
  Runtime.install({
    logger: new DefaultLogger('TRACE', ({ level, message, meta }) => log[pinoLevel(level)](meta ?? {}, message)),
    shutdownSignals: [],
    telemetryOptions: {
      logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } },
      ...(metricsAddress === undefined ? {} : { metrics: { prometheus: { bindAddress: metricsAddress } } }),
    },
  });
}

function pinoLevel(level: TemporalLogLevel): 'debug' | 'info' | 'warn' | 'error' {
  if (level === 'TRACE' || level === 'DEBUG') return 'debug';
  return level === 'INFO' ? 'info' : level === 'WARN' ? 'warn' : 'error';
}
