import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { revokedName, stagingName } from '../core/names';
import { parseJson } from '../core/parse-json';
import { isBelow } from '../core/roots';
import { inDirectory, type OpenDirectory } from './directory';
import { blaming, isErrno, StorageError } from './errors';
import type { PreparedStaging, StagingOwner, StagingRecord } from './prepare-staging';
import { entryNames, requireDestination, type StagingLocation } from './staging';

/** An owner, a target, and its missing parents. */
const MAX_RECORD_BYTES = 256 * 1024;

/** What `prepareStaging` wrote down: what undo and publication go by, whatever they are told. */
export interface OwnStaging extends PreparedStaging {
  /** Parents of the target that the run has created; none of a run that an earlier version of the program began. */
  readonly createdDirectories: readonly string[];
}

/**
 * The record of a staging directory, live or revoked; undefined when there is none.
 * @throws StorageError `NotOwnRun` when another run or another target has made it, `TargetNotCanonical`, errno names
 */
export function readOwnStaging(location: StagingLocation, owner: StagingOwner): OwnStaging | undefined {
  const { root, targetPath, runId } = location;
  const text = blaming('destination', targetPath, () => {
    try {
      return inDirectory(root, dirname(targetPath), 'destination', (parent) => readIn(parent, stagingName(runId)) ?? readIn(parent, revokedName(runId)));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  });
  if (text === undefined) return undefined;
  const record = parse(text);
  if (record !== undefined && isOwn(record, owner) && record.targetPath === targetPath) return ownStaging(record);
  throw new StorageError('NotOwnRun', 'destination', targetPath, `The staging directory beside ${targetPath} belongs to another run or another target`);
}

/** As `readOwnStaging`, for steps that need one. @throws StorageError `StagingRevoked`, `DestinationGone` when there is none */
export function requireOwnStaging(location: StagingLocation, owner: StagingOwner): OwnStaging {
  const found = readOwnStaging(location, owner);
  if (found !== undefined) return found;
  requireDestination(location.destination);
  throw new StorageError('StagingRevoked', 'destination', location.targetPath, `The staging directory of ${location.targetPath} is gone`);
}

function readIn(parent: OpenDirectory, staging: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = fs.openSync(parent.entry(join(staging, entryNames.record)), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    // A link is not what a run has written.
    if (isErrno(error, 'ELOOP')) return '';
    throw error;
  }
  try {
    const stats = fs.fstatSync(descriptor);
    return stats.isFile() && stats.size <= MAX_RECORD_BYTES ? fs.readFileSync(descriptor, 'utf8') : '';
  } finally {
    fs.closeSync(descriptor);
  }
}

/** What cannot be read as a record is nobody's. */
function parse(text: string): StagingRecord | undefined {
  try {
    const record = parseJson(text) as Partial<StagingRecord> | null;
    const isRecord = typeof record?.owner === 'object' && typeof record.hardLinks === 'boolean' && typeof record.previous === 'object';
    return isRecord ? (record as StagingRecord) : undefined;
  } catch {
    return undefined;
  }
}

function isOwn({ owner: found }: StagingRecord, { clusterId, namespace, workflowId, runId }: StagingOwner): boolean {
  return found?.clusterId === clusterId && found.namespace === namespace && found.workflowId === workflowId && found.runId === runId;
}

function ownStaging({ previous, hardLinks, createdDirectories, targetPath }: StagingRecord): OwnStaging {
  const created: readonly unknown[] = Array.isArray(createdDirectories) ? createdDirectories : [];
  return { previous, hardLinks, createdDirectories: created.filter((path) => typeof path === 'string').filter((path) => path !== targetPath && isBelow(path, targetPath)) };
}
