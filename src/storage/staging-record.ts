import type { RunGround } from './batch/open-run';
import { runProof } from './batch/run-proof';
import type { RunLocation } from './batch/run-directory';
import { StorageError } from './errors';
import type { FileStat } from './file-stat';
import { absoluteText, identifier, inode, nanoseconds, someText } from './records/fields';
import type { OwnRecord } from './records/own-file';
import { arrayOf, either, flag, mapOf, nullable, objectOf, oneOf, optional, text, wholeNumber, type Shape } from './records/shape';
import type { StagingOwner, StagingRecord } from './prepare-staging';
import type { Registered, RegisteredRun, RegisteredStaging } from './staging-registry';
import type { DirectoryIdentity, StagingLocation } from './staging';

const MOST_DIRECTORIES = 10_000;
const number = text(40, /^-?\d+$/);
const count = wholeNumber();

/** Whose run it is. */
export const stagingOwner: Shape<StagingOwner> = objectOf<StagingOwner>({ clusterId: identifier, namespace: identifier, workflowId: identifier, runId: identifier });

const fileStat: Shape<FileStat> = objectOf<FileStat>({ device: number, inode, sizeBytes: count, mtimeNs: nanoseconds, ctimeNs: nanoseconds, mode: count, userId: count, groupId: count });

/** What a staging directory says of itself. @param refuse answers the finding for one that is none */
export function stagingRecord(formatVersion: number, refuse: OwnRecord<StagingRecord>['refuse']): OwnRecord<StagingRecord> {
  return {
    side: 'destination',
    maxBytes: 64 * 1024,
    shape: objectOf<StagingRecord>({ formatVersion: oneOf(formatVersion), owner: stagingOwner, targetPath: absoluteText, previous: nullable(fileStat), hardLinks: flag }),
    refuse,
  };
}

const identity: Shape<DirectoryIdentity> = objectOf<DirectoryIdentity>({ path: absoluteText, device: number, inode, bornNs: optional(nanoseconds) });
const directories = arrayOf(absoluteText, MOST_DIRECTORIES);

/** It names a file in the registry. */
const runId = text(200, /^[\w-]+$/);

const registeredStaging: Shape<RegisteredStaging> = objectOf<RegisteredStaging>({
  owner: stagingOwner,
  location: objectOf<StagingLocation>({ root: absoluteText, targetPath: absoluteText, runId, destination: identity }),
  createdDirectories: directories,
});

const registeredRun: Shape<RegisteredRun> = objectOf<RegisteredRun>({
  kind: oneOf('run'),
  owner: stagingOwner,
  location: objectOf<RunLocation>({ root: absoluteText, destination: absoluteText, runId, area: optional(oneOf('incoming')), proof: optional(runProof) }),
  ground: objectOf<RunGround>({ destination: identity, missingDirectories: directories }),
  rollBack: flag,
  chunks: nullable(count),
  facts: mapOf<unknown>(either(someText, mapOf(someText, 1000)), 100),
});

/** A line of the worker's own list. */
export const registered: OwnRecord<Registered> = {
  side: 'destination',
  maxBytes: 64 * 1024 * 1024,
  shape: (value) => (typeof value === 'object' && value !== null && 'kind' in value ? registeredRun : registeredStaging)(value),
  refuse: (path, why, cause) => new StorageError('UnexpectedError', 'destination', path, `The worker's note ${path} cannot be read: it ${why}; look at it, and remove it if it is not the worker's`, {}, { cause }),
};
