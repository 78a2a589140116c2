import { failureKinds, type FailureType } from '../failures';

/** Another operation is writing the target. */
export class TargetBusyError extends Error {
  override readonly name = 'TargetBusyError';
  readonly errorCode = 'TargetBusy' satisfies FailureType;

  constructor(
    readonly backupPath: string,
    readonly workflowId: string,
    readonly operationId: string,
    wayOut = 'Wait for it, or cancel it.',
  ) {
    super(`Target ${backupPath} is busy: operation ${operationId} is writing it (run ${workflowId}). ${wayOut}`);
  }
}

/** An operation id that was used for other input before. */
export class OperationReusedError extends Error {
  override readonly name = 'OperationReusedError';
  readonly errorCode = 'OperationReused' satisfies FailureType;

  constructor(readonly operationId: string) {
    super(`Operation ${operationId} was used for other input before; give each operation an id of its own.`);
  }
}

/** No run of that id. */
export class RunNotFoundError extends Error {
  override readonly name = 'RunNotFoundError';
  readonly errorCode = 'RunNotFound' satisfies FailureType;

  constructor(readonly id: string) {
    super(`No backup run "${id}" is known to the server; list them with "file-backup runs".`);
  }
}

/** Several runs have ids that begin like that. */
export class AmbiguousIdError extends Error {
  override readonly name = 'AmbiguousIdError';

  constructor(
    readonly id: string,
    readonly candidates: readonly string[],
  ) {
    const named = candidates.slice(0, NAMED_CANDIDATES);
    super(`Several backup runs begin with "${id}": ${named.join(', ')}${candidates.length > named.length ? ', …' : ''}; give more of the id.`);
  }
}

const NAMED_CANDIDATES = 10;

/** A batch that cannot do what it was asked to: it has ended, is in that state already, or has no worker. */
export class BatchUpdateError extends Error {
  override readonly name = 'BatchUpdateError';
  readonly errorCode = 'UpdateRefused' satisfies FailureType;

  constructor(message: string, cause?: Error) {
    super(message, { cause });
  }
}

/** Something that came from the server was not made by a holder of the key. */
export class NotAuthenticError extends Error {
  override readonly name = 'NotAuthenticError';
  readonly errorCode = 'NotAuthentic' satisfies FailureType;

  constructor(what: string, reason: string) {
    super(`${what} ${reason}. ${failureKinds.NotAuthentic.hint}`);
  }
}

/** There is a schedule of that name. */
export class ScheduleExistsError extends Error {
  override readonly name = 'ScheduleExistsError';
  readonly errorCode = 'ScheduleExists' satisfies FailureType;

  constructor(readonly schedule: string) {
    super(`There is a schedule "${schedule}" already; delete it first, or choose another name.`);
  }
}

/** There is no schedule of that name. */
export class NoSuchScheduleError extends Error {
  override readonly name = 'NoSuchScheduleError';
  readonly errorCode = 'ScheduleNotFound' satisfies FailureType;

  constructor(readonly schedule: string) {
    super(`There is no schedule "${schedule}"; list them with "file-backup schedule list".`);
  }
}
