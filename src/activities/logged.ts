import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import { messageOf } from '../core/error-message';

/** Fields that every log line of a step carries, picked from its input. */
interface Subject {
  readonly operation?: { readonly input: LoggedInput; readonly source: { readonly sizeBytes: number } };
  readonly input?: unknown;
}

interface LoggedInput {
  readonly operationId: string;
  readonly sourcePath: string;
  readonly backupPath: string;
  readonly metadata: Readonly<Record<string, string>>;
}

type Activity = (input: never) => Promise<unknown>;

/** Wraps activities so that each one logs how it ended, with ids, paths, size, time and attempt. */
export function logged<Activities extends Record<string, Activity>>(activities: Activities): Activities {
  const wrapped = Object.entries(activities).map(([name, activity]) => [name, withLog(name, activity)]);
  return Object.fromEntries(wrapped) as Activities;
}

function withLog(step: string, activity: Activity): Activity {
  return async (input: never) => {
    const { log, info } = Context.current();
    const startedAtMs = performance.now();
    const fields = () => ({ step, ...subjectOf(input), attempt: info.attempt, durationMs: Math.round(performance.now() - startedAtMs) });
    try {
      const result = await activity(input);
      log.info('Step finished', fields());
      return result;
    } catch (error) {
      log.warn(error instanceof CancelledFailure ? 'Step cancelled' : 'Step failed', { ...fields(), ...failureOf(error) });
      throw error;
    }
  };
}

function subjectOf(input: Subject): Record<string, unknown> {
  if (input.operation === undefined) return {};
  const { operationId, sourcePath, backupPath, metadata } = input.operation.input;
  return { operationId, sourcePath, backupPath, sizeBytes: input.operation.source.sizeBytes, metadata };
}

function failureOf(error: unknown): Record<string, unknown> {
  if (!(error instanceof ApplicationFailure)) return { error: messageOf(error) };
  return { failureType: error.type, retryable: error.nonRetryable !== true, error: error.message };
}
