import { ApplicationFailure } from '@temporalio/common';
import { constants } from 'node:os';
import { failure, failureKinds, failureTypeOf, isFailureType, type FailureType } from '../src/failures';
import { errnoName } from '../src/storage/errors';

/** errno → type on the source's side, type on the destination's. */
const table: [string, FailureType, FailureType][] = [
  ['ENOENT', 'SourceNotFound', 'DestinationGone'],
  ['ENOTDIR', 'SourceNotFound', 'TargetInvalid'],
  ['ENAMETOOLONG', 'SourceNotFound', 'TargetInvalid'],
  ['ELOOP', 'SourceNotRegularFile', 'TargetNotCanonical'],
  ['EISDIR', 'SourceNotRegularFile', 'TargetInvalid'],
  ['ENXIO', 'SourceNotRegularFile', 'DestinationGone'],
  ['EACCES', 'PermissionDenied', 'PermissionDenied'],
  ['EPERM', 'PermissionDenied', 'PermissionDenied'],
  ['ENODEV', 'SourceReadError', 'DestinationGone'],
  ['ENOTCONN', 'SourceReadError', 'DestinationGone'],
  ['EROFS', 'UnexpectedError', 'DestinationReadOnly'],
  ['ENOSPC', 'UnexpectedError', 'NoSpace'],
  ['EDQUOT', 'UnexpectedError', 'NoSpace'],
  ['EFBIG', 'UnexpectedError', 'FileTooLarge'],
  ['EEXIST', 'UnexpectedError', 'DestinationConflict'],
  ['EIO', 'SourceReadError', 'DestinationError'],
  ['ESTALE', 'SourceReadError', 'DestinationError'],
  ['EBUSY', 'SourceReadError', 'DestinationError'],
  ['EAGAIN', 'SourceReadError', 'DestinationError'],
  ['EINTR', 'SourceReadError', 'DestinationError'],
  ['ETIMEDOUT', 'SourceReadError', 'DestinationError'],
  ['EHOSTDOWN', 'SourceReadError', 'DestinationError'],
  ['EREMOTEIO', 'SourceReadError', 'DestinationError'],
  ['ENETDOWN', 'SourceReadError', 'DestinationError'],
  ['EMFILE', 'TooManyOpenFiles', 'TooManyOpenFiles'],
  ['ENFILE', 'TooManyOpenFiles', 'TooManyOpenFiles'],
];

const permanent: FailureType[] = [
  'InvalidInput', 'NotAuthentic', 'SourceNotFound', 'SourceGone', 'DirectoryGone', 'SourceEmptied', 'SourceNotRegularFile', 'SourceNotAllowed', 'SourceNotCanonical', 'PermissionDenied', 'TargetNotAllowed', 'TargetInsideRepository', 'NotOwnRun', 'TargetNotCanonical',
  'TargetInvalid', 'TargetBusy', 'TargetCollision', 'SameFile', 'NoHardLinks', 'FileTooLarge', 'DestinationReadOnly', 'DestinationNotTrusted', 'DestinationConflict', 'StagingRevoked', 'CircuitOpen', 'RollbackFailed',
  'Cancelled', 'Terminated', 'RepositoryNotFound', 'RepositoryExists', 'RepositoryUnsupported', 'RepositoryNotTrusted', 'SnapshotNotFound', 'SnapshotDamaged', 'RunAltered',
  'NoTemporalServer', 'RunLost', 'RunNotFound', 'OperationReused', 'UpdateRefused', 'ScheduleExists', 'ScheduleNotFound', 'OutputUnwritable',
];
const transient: FailureType[] = [
  'SourceChanged', 'SourceReadError', 'DestinationGone', 'DestinationError', 'NoSpace', 'ChecksumMismatch', 'TooManyOpenFiles', 'Stalled', 'TimedOut', 'Interrupted', 'StateDirectoryError', 'UnexpectedError',
];
const blamesDestination: FailureType[] = ['DestinationReadOnly', 'DestinationGone', 'DestinationError', 'NoSpace', 'ChecksumMismatch', 'Stalled', 'TimedOut'];

describe('errno names', () => {
  test.each(table)('%s is %s of the source, %s of the destination', (code, source, destination) => {
    expect(failureTypeOf(code, 'source')).toBe(source);
    expect(failureTypeOf(code, 'destination')).toBe(destination);
  });

  test('every other one is unexpected, and so retried a bounded number of times', () => {
    const known = table.map(([code]) => code);
    for (const code of Object.keys(constants.errno).filter((name) => !known.includes(name))) {
      expect([code, failureTypeOf(code, 'source'), failureTypeOf(code, 'destination')]).toEqual([code, 'UnexpectedError', 'UnexpectedError']);
    }
    expect(failureTypeOf('ERR_SOMETHING', 'source')).toBe('UnexpectedError');
  });

  test.each(table.map(([code]) => code).filter((code) => code in constants.errno))('%s comes out of a real error by its number', (code) => {
    const errno = -constants.errno[code as keyof typeof constants.errno];
    expect(errnoName(Object.assign(new Error(), { errno, code: `Unknown system error ${errno}` }))).toBe(code);
  });

  test.each([
    ['EDQUOT', -122],
    ['ESTALE', -116],
  ])('%s, whose name Node does not know, is found by its number on Linux', (code, errno) => {
    expect(errnoName(Object.assign(new Error(), { errno, code: `Unknown system error ${errno}` }))).toBe(code);
  });

  test('what storage found itself keeps its name, on either side', () => {
    for (const type of Object.keys(failureKinds)) expect([failureTypeOf(type, 'source'), failureTypeOf(type, 'destination')]).toEqual([type, type]);
  });

  test.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])('%s is no failure type', (name) => {
    expect(isFailureType(name)).toBe(false);
  });
});

describe('failure types', () => {
  test('each is either permanent or transient', () => {
    expect([...permanent, ...transient].sort()).toEqual(Object.keys(failureKinds).sort());
  });

  test.each(permanent)('%s is permanent: Temporal does not retry it', (type) => {
    expect(failure(type, 'What happened').nonRetryable).toBe(true);
  });

  test.each(transient)('%s is transient: Temporal retries it', (type) => {
    expect(failure(type, 'What happened').nonRetryable).toBe(false);
  });

  test('those that count for the circuit breaker say something about the destination', () => {
    const counting = (Object.keys(failureKinds) as FailureType[]).filter((type) => failureKinds[type].blamesDestination);
    expect(counting.sort()).toEqual([...blamesDestination].sort());
  });

  test('a missing source says nothing about the destination, on any of its ways', () => {
    for (const [code, source] of table.filter(([, type]) => type.startsWith('Source'))) expect([code, failureKinds[source].blamesDestination]).toEqual([code, false]);
  });

  test('each has a hint that is a sentence', () => {
    for (const { hint } of Object.values(failureKinds)) expect(hint).toMatch(/^[A-Z].*\.$/);
  });

  test('a failure carries type, message with hint, its detail first, and the cause', () => {
    const cause = new Error('ENOSPC');
    const failed = failure('NoSpace', 'Disk is full', { path: '/backups/file', attempt: 2 }, cause);
    expect(failed).toBeInstanceOf(ApplicationFailure);
    expect(failed).toMatchObject({ type: 'NoSpace', message: 'Disk is full. Free some space on the destination.', details: [{ path: '/backups/file', attempt: 2 }], cause });
  });
});
