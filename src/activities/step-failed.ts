import { withoutContent } from '../core/error-message';
import { failure, failureTypeOf, type FailureDetail } from '../failures';
import type { ApplicationFailure } from '@temporalio/common';
import { StorageError } from '../storage/errors';
import type { StepError } from '../storage/thread';

/** What a storage function threw in its thread. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed';

  constructor(readonly error: StepError) {
    super(error.message);
    this.stack = error.stack;
  }
}

/** The one place where storage's findings become failure types, permanent or transient. */
export function toFailure(error: unknown, detail: FailureDetail): ApplicationFailure {
  // From a thread, or from what the worker itself keeps.
  const finding = error instanceof StepFailed ? error.error : error instanceof StorageError ? { ...error.found, code: error.code, side: error.side, path: error.path, message: error.message } : undefined;
  if (finding === undefined) {
    const cause = withoutContent(error);
    return failure('UnexpectedError', cause.message, detail, cause);
  }
  const { code, side, path, message, expected, found } = finding;
  return failure(failureTypeOf(code, side), message, { ...detail, path, expected, found }, error instanceof StepFailed ? error : withoutContent(error));
}
