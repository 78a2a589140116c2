import { failureKinds, failureTypeOf } from '../failures';
import { printablePath } from '../core/format';
import { StorageError } from '../storage/errors';

/** Temporal's client says which call failed, and only the cause says why; storage knows no way out. */
export function errorText(error: unknown): string {
  if (error instanceof StorageError) return `${printablePath(error.message)}. ${failureKinds[failureTypeOf(error.code, error.side)].hint}`;
  if (!(error instanceof Error)) return String(error);
  return error.name === 'ServiceError' && error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
