import { dirname } from 'node:path';
import { revokedName, stagingName } from '../core/names';
import { isBelow } from '../core/roots';
import { inDirectory, using, type OpenDirectory } from './directory';
import { blaming, isErrno, StorageError } from './errors';
import { openStaging, requireDestination, type StagingLocation } from './staging';
import { readRecord, type PreparedStaging, type StagingOwner } from './staging-mark';
import type { WrittenRecord } from './staging-shapes';

/** What `prepareStaging` wrote down: what undo and publication go by, whatever they are told. */
export interface OwnStaging extends PreparedStaging {
  /** Parents of the target that the run has created; none of a run that an earlier version of the program began. */
  readonly createdDirectories: readonly string[];
}

/**
 * The record of a staging directory, live or revoked; undefined when there is none.
 * @throws StorageError `NotOwnRun` when another run or another target has made it, `DestinationNotTrusted`, `TargetNotCanonical`, errno names
 */
export function readOwnStaging(location: StagingLocation, owner: StagingOwner): OwnStaging | undefined {
  const { root, targetPath, runId } = location;
  const record = blaming('destination', targetPath, () =>
    unlessMissing(() => inDirectory(root, dirname(targetPath), 'destination', (parent) => recordIn(parent, location, stagingName(runId)) ?? recordIn(parent, location, revokedName(runId)))),
  );
  if (record === undefined) return undefined;
  if (isOwn(record, owner) && record.targetPath === targetPath) return ownStaging(record);
  throw new StorageError('NotOwnRun', 'destination', targetPath, `The staging directory beside ${targetPath} belongs to another run or another target`);
}

/** As `readOwnStaging`, for steps that need one. @throws StorageError `StagingRevoked`, `DestinationGone` when there is none */
export function requireOwnStaging(location: StagingLocation, owner: StagingOwner): OwnStaging {
  const found = readOwnStaging(location, owner);
  if (found !== undefined) return found;
  requireDestination(location.destination);
  throw new StorageError('StagingRevoked', 'destination', location.targetPath, `The staging directory of ${location.targetPath} is gone`);
}

function recordIn(parent: OpenDirectory, location: StagingLocation, name: string): WrittenRecord | undefined {
  return unlessMissing(() => using(openStaging(parent, location, name), (staging) => readRecord(staging, location)));
}

function unlessMissing<T>(calls: () => T): T | undefined {
  try {
    return calls();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function isOwn({ owner: found }: WrittenRecord, { clusterId, namespace, workflowId, runId }: StagingOwner): boolean {
  return found.clusterId === clusterId && found.namespace === namespace && found.workflowId === workflowId && found.runId === runId;
}

function ownStaging({ previous, hardLinks, createdDirectories = [], targetPath }: WrittenRecord): OwnStaging {
  return { previous, hardLinks, createdDirectories: createdDirectories.filter((path) => path !== targetPath && isBelow(path, targetPath)) };
}
