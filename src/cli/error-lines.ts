import { messageOf } from '../core/error-message';
import { failureKinds, failureTypeOf } from '../failures';
import { StorageError } from '../storage/errors';

/** What went wrong, for a person. Messages of one's own that have several lines come as such; any other is one line. */
export function errorLines(error: unknown): readonly string[] {
  return hasLines(error) ? error.lines : [errorText(error)];
}

/** The same on one line. Temporal's client says which call failed, and only the cause says why; storage knows no way out. */
export function errorText(error: unknown): string {
  if (error instanceof StorageError) return `${error.message}. ${failureKinds[failureTypeOf(error.code, error.side)].hint}`;
  const isServiceError = error instanceof Error && error.name === 'ServiceError' && error.cause instanceof Error;
  return isServiceError ? `${messageOf(error)}: ${messageOf(error.cause)}` : messageOf(error);
}

/** Whether the server could not be asked: both of Temporal's clients have an error of their own for that. */
export function isTransportError(error: unknown): boolean {
  return error instanceof Error && ['ServiceError', 'TransportError'].includes(error.name);
}

function hasLines(error: unknown): error is Error & { readonly lines: readonly string[] } {
  return error instanceof Error && 'lines' in error && Array.isArray(error.lines);
}
