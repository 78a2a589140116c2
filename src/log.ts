import { DefaultLogger, Runtime, type LogLevel as TemporalLogLevel } from '@temporalio/worker';
import { destination, pino, type Logger } from 'pino';
import type { LogLevel } from './log-levels';

/** Structured logs, one JSON object a line, on standard error: standard output belongs to results. */
export function createLogger(level: LogLevel): Logger {
  return pino({ name: 'file-backup', level, base: { pid: process.pid }, redact: { paths: ['taskToken'], remove: true } }, destination({ fd: 2, sync: true }));
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
