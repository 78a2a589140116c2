import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { revokedName, stagingName } from '../core/names';
import { inParent, syncDirectory, type OpenDirectory } from './directory';
import { blaming, isErrno, StorageError } from './errors';
import { lstatIfPresent, type FileStat } from './file-stat';
import { canLinkIn } from './hard-links';
import { requireReplaceable } from './inspect-file';
import { createParents } from './parents';
import { readOwnRecord } from './records/own-file';
import { recordOf, type WrittenRecord } from './staging-shapes';
import { entryNames, explainMissing, liveEntry, requireDestination, unlinkIfPresent, type StagingLocation } from './staging';

const RECORD_FORMAT_VERSION = 1;

/** Whose staging directory it is: the janitor asks this very cluster whether the run is closed. */
export interface StagingOwner {
  readonly clusterId: string;
  readonly namespace: string;
  readonly workflowId: string;
  readonly runId: string;
}

/** What `prepareStaging` found, on disk and in history. */
export interface PreparedStaging {
  /** The target as it was before, or null: decides what undo does, whatever lies there by then. */
  readonly previous: FileStat | null;
  /** False on file systems without hard links (exFAT, some SMB and FUSE): publication is weaker there. */
  readonly hardLinks: boolean;
}

/** As it stands on disk. */
export interface StagingRecord extends PreparedStaging {
  readonly formatVersion: number;
  readonly owner: StagingOwner;
  readonly targetPath: string;
  /** Parents that were not there before the run: undo takes these away again and no others. */
  readonly createdDirectories: readonly string[];
}

/**
 * Creates missing parents and the staging directory, 0700, and writes down what the target was. Repeated, it answers
 * what it answered first. No other step ever creates the directory.
 * @throws StorageError `DestinationGone`, `StagingRevoked`, `TargetInvalid`, errno names
 */
export function prepareStaging(location: StagingLocation, owner: StagingOwner, missingDirectories: readonly string[]): PreparedStaging {
  const { root, targetPath } = location;
  requireDestination(location.destination);
  createParents(root, missingDirectories);
  return explainMissing(location, () =>
    inParent(root, targetPath, 'destination', (parent, name) =>
      blaming('destination', targetPath, () => {
        makeStaging(parent, location);
        const record = readRecord(parent, location) ?? writeRecord(parent, location, { owner, createdDirectories: missingDirectories }, parent.entry(name));
        parent.sync();
        return { previous: record.previous, hardLinks: record.hardLinks };
      }),
    ),
  );
}

function makeStaging(parent: OpenDirectory, { runId, targetPath }: StagingLocation): void {
  if (lstatIfPresent(parent.entry(revokedName(runId))) !== undefined) {
    throw new StorageError('StagingRevoked', 'destination', targetPath, `The staging directory of ${targetPath} was revoked already`);
  }
  const path = parent.entry(stagingName(runId));
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    if (!fs.lstatSync(path).isDirectory()) throw new StorageError('DestinationConflict', 'destination', targetPath, `${stagingName(runId)} beside ${targetPath} is not a directory`);
  }
}

function readRecord(parent: OpenDirectory, location: StagingLocation): WrittenRecord | undefined {
  return readOwnRecord(liveEntry(parent, location, entryNames.record), recordOf(location.targetPath));
}

/** Written aside, synced, then given its name exclusively: of two attempts at once, the second takes the first's answer. */
function writeRecord(parent: OpenDirectory, location: StagingLocation, known: Pick<StagingRecord, 'owner' | 'createdDirectories'>, target: string): WrittenRecord {
  const stats = lstatIfPresent(target);
  const draft = liveEntry(parent, location, `record-${randomUUID()}`);
  const final = liveEntry(parent, location, entryNames.record);
  const record: StagingRecord = {
    formatVersion: RECORD_FORMAT_VERSION,
    ...known,
    targetPath: location.targetPath,
    previous: stats === undefined ? null : requireReplaceable(stats, location.targetPath),
    hardLinks: canLinkIn(parent.entry(stagingName(location.runId))),
  };
  fs.writeFileSync(draft, `${JSON.stringify(record)}\n`, { mode: 0o600, flag: 'wx', flush: true });
  if (record.hardLinks) linkUnlessPresent(draft, final);
  else fs.renameSync(draft, final);
  unlinkIfPresent(draft);
  syncDirectory(parent.entry(stagingName(location.runId)));
  return readRecord(parent, location) ?? record;
}

function linkUnlessPresent(existing: string, name: string): void {
  try {
    fs.linkSync(existing, name);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
}
