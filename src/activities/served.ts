import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import { messageOf } from '../core/error-message';
import { requestFields, resultFields } from './log-fields';
import { parseRequest, type Request, type ActivityName } from './requests';

/** An activity for every kind of request, and none without. */
export type Steps = { readonly [Name in ActivityName]: (request: Request<Name>) => Promise<unknown> };

/**
 * Makes steps activities: each one parses its whole request before anything else happens, and logs how it ended, with
 * ids, paths, sizes, time, attempt and what came of it.
 */
export function served<Served extends Steps>(steps: Served & Record<Exclude<keyof Served, ActivityName>, never>): Served {
  const activities = Object.entries<(request: never) => Promise<unknown>>(steps).map(([name, step]) => [name, serve(name as ActivityName, step)]);
  return Object.fromEntries(activities) as Served;
}

function serve(name: ActivityName, step: (request: never) => Promise<unknown>) {
  return async (...args: unknown[]): Promise<unknown> => {
    const { log, info } = Context.current();
    const startedAtMs = performance.now();
    let subject: Record<string, unknown> = {};
    const fields = () => ({ step: name, ...subject, attempt: info.attempt, durationMs: Math.round(performance.now() - startedAtMs) });
    try {
      const request = parseRequest(name, args, info.attempt);
      subject = requestFields(request);
      const result = await step(request as never);
      log.info('Step finished', { ...fields(), result: resultFields(result) });
      return result;
    } catch (error) {
      log.warn(error instanceof CancelledFailure ? 'Step cancelled' : 'Step failed', { ...fields(), ...failureOf(error) });
      throw error;
    }
  };
}

function failureOf(error: unknown): Record<string, unknown> {
  if (!(error instanceof ApplicationFailure)) return { error: messageOf(error) };
  return { failureType: error.type, retryable: error.nonRetryable !== true, error: error.message };
}
