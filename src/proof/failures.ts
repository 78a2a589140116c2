import { ApplicationFailure } from '@temporalio/common';
import { failure } from '../failures';
import { Bound, NotProven, open, Refused, type Purpose } from './bound';

/**
 * The failure with a proof of who made it in its first detail. Failures travel in clear, so what they say is under the
 * proof's signature once more.
 */
export function provenFailure(error: ApplicationFailure, purpose: Purpose): ApplicationFailure {
  const { type, message, nonRetryable, details, category, cause } = error;
  const nextRetryDelay = error.nextRetryDelay as number | undefined;
  const [detail, ...others] = details ?? [];
  const bound = new Bound(detail, { ...purpose, type: String(type), message, nonRetryable: nonRetryable === true });
  return ApplicationFailure.create({ type: type ?? undefined, message, nonRetryable: nonRetryable ?? false, details: [bound, ...others], nextRetryDelay, category: category ?? undefined, cause });
}

/** The failure as its proof has it, without causes, which nothing vouches for. @throws NotProven */
export function openedFailure({ details }: ApplicationFailure, expected: Purpose): ApplicationFailure {
  const { value, purpose } = open(details?.[0], expected);
  return ApplicationFailure.create({ type: String(purpose.type), message: String(purpose.message), nonRetryable: purpose.nonRetryable === true, details: value === undefined ? [] : [value] });
}

/** What takes the place of an answer that nobody vouches for. @param what the subject of the message, such as "The result of stageFile" */
export function notAuthentic(what: string, error: NotProven): ApplicationFailure {
  return failure('NotAuthentic', `${what} ${error.message}`);
}

/**
 * Values for work that binds nothing to purposes: all that a codec has let through.
 * @throws ApplicationFailure `NotAuthentic`
 */
export function requireSigned(values: readonly unknown[], what: string): unknown[] {
  const refused = values.find((value) => value instanceof Refused);
  if (refused !== undefined) throw notAuthentic(what, new NotProven(refused.reason));
  return [...values];
}
