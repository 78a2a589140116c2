import type { RunGround } from './batch/open-run';
import { runProof } from './batch/run-proof';
import type { RunLocation } from './batch/run-directory';
import { StorageError } from './errors';
import type { FileStat } from './file-stat';
import { absoluteText, identifier, inode, nanoseconds, someText } from './records/fields';
import type { OwnRecord } from './records/own-file';
import { arrayOf, either, flag, mapOf, nullable, objectOf, oneOf, optional, text, wholeNumber, type Shape } from './records/shape';
import type { StagingOwner, StagingRecord } from './staging-mark';
import { restoredAttributes } from './snapshot/restore/attributes-shape';
import type { Registered, RegisteredRun, RegisteredStaging } from './staging-registry';
import type { DirectoryIdentity, StagingLocation } from './staging';

const MOST_DIRECTORIES = 10_000;
const number = text(40, /^-?\d+$/);
const count = wholeNumber();

/** Whose run it is. */
export const stagingOwner: Shape<StagingOwner> = objectOf<StagingOwner>({ clusterId: identifier, namespace: identifier, workflowId: identifier, runId: identifier });

const fileStat: Shape<FileStat> = objectOf<FileStat>({ device: number, inode, sizeBytes: count, mtimeNs: nanoseconds, ctimeNs: nanoseconds, mode: count, userId: count, groupId: count });

/** As it stands on disk: runs of earlier programs have no list of created directories. */
export type WrittenRecord = Omit<StagingRecord, 'createdDirectories'> & { readonly formatVersion: number; readonly createdDirectories?: readonly string[] };

/** What a staging directory says of itself. */
const stagingRecord: Shape<WrittenRecord> = objectOf<WrittenRecord>({
  formatVersion: oneOf(1),
  owner: stagingOwner,
  targetPath: absoluteText,
  previous: nullable(fileStat),
  hardLinks: flag,
  createdDirectories: optional(arrayOf(absoluteText, MOST_DIRECTORIES)),
});

/** The record of a staging directory beside a target: what cannot be read as one is nobody's. */
export function recordOf(targetPath: string): OwnRecord<WrittenRecord> {
  return {
    side: 'destination',
    maxBytes: 256 * 1024,
    shape: stagingRecord,
    refuse: (_path, why, cause) => new StorageError('NotOwnRun', 'destination', targetPath, `The record of the staging directory beside ${targetPath} is nobody's: it ${why}`, {}, { cause }),
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
  location: objectOf<Omit<RunLocation, 'handle'>>({ root: absoluteText, destination: absoluteText, runId, area: optional(oneOf('incoming')), beside: optional(absoluteText), proof: optional(runProof) }),
  ground: objectOf<RunGround>({ destination: identity, missingDirectories: directories }),
  rollBack: flag,
  chunks: nullable(count),
  facts: mapOf<unknown>(either(someText, mapOf(someText, 1000)), 100),
  places: optional(arrayOf(identity, MOST_DIRECTORIES)),
  rootAttributes: optional(nullable(restoredAttributes)),
});

/** A line of the worker's own list. */
export const registered: OwnRecord<Registered> = {
  side: 'destination',
  maxBytes: 64 * 1024 * 1024,
  shape: (value) => (typeof value === 'object' && value !== null && 'kind' in value ? registeredRun : registeredStaging)(value),
  refuse: (path, why, cause) => new StorageError('StateDirectoryError', 'destination', path, `The worker's note ${path} cannot be read: it ${why}; look at it, and remove it if it is not the worker's`, {}, { cause }),
};
