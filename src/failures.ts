import { ApplicationFailure } from '@temporalio/common';

/** What is known of one kind of failure. */
export interface FailureKind {
  /** Permanent failures are not retried. */
  readonly permanent: boolean;
  /** True when it says something about the destination's health: these count for the circuit breaker. */
  readonly blamesDestination: boolean;
  /** The way out, for the person who reads the message. */
  readonly hint: string;
}

const permanent = (hint: string): FailureKind => ({ permanent: true, blamesDestination: false, hint });
const transient = (hint: string): FailureKind => ({ permanent: false, blamesDestination: false, hint });
/** What a command or a client fails with: no step does. */
const ofCommand = permanent;
const destinationDown = (hint: string): FailureKind => ({ permanent: false, blamesDestination: true, hint });

/** Every failure type of the project. Nothing fails with a type that is not in this table. */
export const failureKinds = {
  InvalidInput: permanent('Correct the named fields.'),
  NotAuthentic: permanent('Somebody without the key has meddled with it, or client and worker have different keys: give both the same one with --payload-key, and run it again.'),
  SourceNotFound: permanent('Check the source path.'),
  SourceGone: permanent('The source was moved, exchanged or unmounted during the run: see that it is there and stays, and take another snapshot.'),
  DirectoryGone: permanent('It was moved, exchanged or removed during the run: the next snapshot takes what is there then.'),
  SourceEmptied: permanent('See that its disk is mounted; where it is meant to be empty, say so once with --allow-empty.'),
  SourceNotRegularFile: permanent('Only regular files can be backed up; name the file that a link points to.'),
  SourceNotAllowed: permanent('Start the worker with a --source-root that holds the file.'),
  SourceNotCanonical: permanent('Use the path without links, as named in the message.'),
  SourceChanged: transient('The file was written to while it was copied. For files that only grow use --changed accept.'),
  SourceReadError: transient('The source could not be read; check its disk.'),
  PermissionDenied: permanent('Give the worker\'s user access, or run the worker as a user that has it.'),
  TargetNotAllowed: permanent('Start the worker with a --destination-root that holds the target.'),
  TargetInsideRepository: permanent('Name a target outside of the repository: what is in one is changed by its own commands alone.'),
  NotOwnRun: permanent('A run can only go on with what it began itself: start a new one.'),
  TargetNotCanonical: permanent('Use the path without links, as named in the message.'),
  TargetInvalid: permanent('Name a target that can be a regular file.'),
  TargetBusy: permanent('Wait for the other backup of this target, or cancel it.'),
  TargetCollision: permanent('Two sources would meet in one target: use --layout tree, or leave one of them out.'),
  SameFile: permanent('Source and target are one file; choose another target.'),
  NoHardLinks: permanent('Back up with --on-failure continue, or to a file system that has hard links.'),
  FileTooLarge: permanent('The file is larger than the destination\'s file system allows.'),
  DestinationReadOnly: { permanent: true, blamesDestination: true, hint: 'Mount the destination for writing.' },
  DestinationNotTrusted: permanent('Use a directory that only you and root can change (chown, chmod go-w), or accept this one with --trust-destination.'),
  DestinationConflict: permanent('Something else wrote the target during the backup; look at it, then run the backup again.'),
  DestinationGone: destinationDown('Mount the destination again, or create its root directory.'),
  DestinationError: destinationDown('Check the destination\'s disk or connection.'),
  NoSpace: destinationDown('Free some space on the destination.'),
  ChecksumMismatch: destinationDown('The destination returned other bytes than were written; check its disk.'),
  RepositoryNotFound: permanent('Mount the repository\'s disk, correct the path, or make a repository with: file-backup init.'),
  RepositoryExists: permanent('Use it as it is, or name another directory.'),
  RepositoryUnsupported: permanent('Use a version of the program that knows the repository\'s format.'),
  RepositoryNotTrusted: permanent('Restore without --with-owners, or let the repository belong to the user that restores, or to root, and nobody else write to it.'),
  SnapshotNotFound: permanent('List what there is with: file-backup snapshots.'),
  SnapshotDamaged: permanent('Look at the damage with: file-backup check --read-data; restore from another snapshot, or repair with: file-backup check --repair.'),
  StagingRevoked: permanent('The staging directory is gone: the run was ended elsewhere. Run the backup again.'),
  RunAltered: permanent('Somebody else has changed the run\'s own files: see who can write to that directory, look at the targets, then run the backup again.'),
  TooManyOpenFiles: transient('Raise the open files limit of the worker (ulimit -n).'),
  StateDirectoryError: transient('Make the state directory of the worker writable and free some space there, or choose another with FILE_BACKUP_STATE_DIR.'),
  Stalled: destinationDown('No byte moved for a long time; check source and destination.'),
  TimedOut: destinationDown('The step took longer than its time limit.'),
  Interrupted: transient('The step is repeated, and uses up no retry by that.'),
  CircuitOpen: permanent('Too many backups to this destination failed in a row; it is tried again by itself.'),
  RollbackFailed: permanent('Undo could not finish; the message names what is left and where.'),
  Cancelled: permanent('The backup was cancelled and undone.'),
  Terminated: permanent('The run was ended without undo; the worker\'s janitor removes what it left.'),
  NoTemporalServer: ofCommand('Start the server, or correct --address, TEMPORAL_ADDRESS or the profile; without any, a command brings its own.'),
  RunLost: ofCommand('The run goes on: the same command follows it.'),
  RunNotFound: ofCommand('List what there is with: file-backup runs.'),
  OperationReused: ofCommand('Give each operation an id of its own.'),
  UpdateRefused: ofCommand('Look at the run with: file-backup status.'),
  ScheduleExists: ofCommand('Delete the schedule first, or choose another name.'),
  ScheduleNotFound: ofCommand('List what there is with: file-backup schedule list.'),
  OutputUnwritable: ofCommand('Look at what standard output is written to.'),
  UnexpectedError: transient('See the cause; please report it if it stays.'),
} as const satisfies Record<string, FailureKind>;

export type FailureType = keyof typeof failureKinds;

/** True when `type` is one of the project's failure types. */
export function isFailureType(type: unknown): type is FailureType {
  return typeof type === 'string' && Object.hasOwn(failureKinds, type);
}

/** What every failure of an activity carries as its first detail. */
export interface FailureDetail {
  readonly path?: string;
  /** Attempts that were really made, this one included. */
  readonly attempt?: number;
  /** Attempts besides these that were interrupted: they say nothing about the work, and use up no retry. */
  readonly interruptions?: number;
  readonly retryAfterMs?: number;
  readonly expected?: string;
  readonly found?: string;
}

/** Builds the failure of a type; permanent ones are not retried by Temporal. */
export function failure(type: FailureType, message: string, detail: FailureDetail = {}, cause?: Error): ApplicationFailure {
  const { permanent: nonRetryable, hint } = failureKinds[type];
  return ApplicationFailure.create({ type, message: `${message}. ${hint}`, nonRetryable, details: [detail], cause });
}

/** Which end of the copy an operating system error came from. */
export type Side = 'source' | 'destination';

const sourceErrors: Readonly<Record<string, FailureType>> = {
  ENOENT: 'SourceNotFound',
  ENOTDIR: 'SourceNotFound',
  ENAMETOOLONG: 'SourceNotFound',
  ELOOP: 'SourceNotRegularFile',
  EISDIR: 'SourceNotRegularFile',
  ENXIO: 'SourceNotRegularFile',
  // A mount that lost its server or its driver.
  ENOTCONN: 'SourceReadError',
  ENODEV: 'SourceReadError',
  EACCES: 'PermissionDenied',
  EPERM: 'PermissionDenied',
};

const destinationErrors: Readonly<Record<string, FailureType>> = {
  // Parents are made by prepareStaging, so what is missing on the destination's side is the destination itself.
  ENOENT: 'DestinationGone',
  ENODEV: 'DestinationGone',
  ENXIO: 'DestinationGone',
  ENOTCONN: 'DestinationGone',
  EACCES: 'PermissionDenied',
  EPERM: 'PermissionDenied',
  EROFS: 'DestinationReadOnly',
  ENOSPC: 'NoSpace',
  EDQUOT: 'NoSpace',
  EFBIG: 'FileTooLarge',
  ENAMETOOLONG: 'TargetInvalid',
  ENOTDIR: 'TargetInvalid',
  EISDIR: 'TargetInvalid',
  ELOOP: 'TargetNotCanonical',
  EEXIST: 'DestinationConflict',
};

/** Errors of either end that pass: they mean the same read or write may work in a moment. */
const passingErrors = ['EIO', 'ESTALE', 'EBUSY', 'EAGAIN', 'EINTR', 'ETIMEDOUT', 'EHOSTDOWN', 'EREMOTEIO', 'ENETDOWN'];

/** All codes of one side whose failure type is of a kind. */
export function codesOf(side: Side, isOfKind: (type: FailureType) => boolean): string[] {
  const codes = [...Object.keys(failureKinds), ...passingErrors, ...Object.keys(side === 'source' ? sourceErrors : destinationErrors)];
  return codes.filter((code) => isOfKind(failureTypeOf(code, side)));
}

/** The one table from errno names (as `ENOSPC`) to failure types. Unknown ones are retried a bounded number of times. */
export function failureTypeOf(code: string, side: Side): FailureType {
  if (isFailureType(code)) return code;
  if (code === 'EMFILE' || code === 'ENFILE') return 'TooManyOpenFiles';
  if (passingErrors.includes(code)) return side === 'source' ? 'SourceReadError' : 'DestinationError';
  return (side === 'source' ? sourceErrors[code] : destinationErrors[code]) ?? 'UnexpectedError';
}
