import type { OpenDirectory } from './directory';
import { StorageError } from './errors';
import type { FileStat } from './file-stat';
import { pathText } from './path-bytes';
import { readOwnRecord } from './records/own-file';
import { recordOf, type WrittenRecord } from './staging-shapes';

export const RECORD_NAME = 'record.json';
/** Records are written aside under names of this beginning. */
export const RECORD_DRAFT = 'record-';

const FORMAT_VERSION = 1;

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

/** The mark of a staging directory. */
export interface StagingRecord extends PreparedStaging {
  readonly owner: StagingOwner;
  readonly targetPath: string;
  /** Parents that were not there before the run: undo takes these away again and no others. */
  readonly createdDirectories: readonly string[];
}

export function recordText(record: StagingRecord): string {
  return `${JSON.stringify({ formatVersion: FORMAT_VERSION, ...record })}\n`;
}

/**
 * Reads the mark of a staging directory; undefined when it has none yet.
 * @throws StorageError `NotOwnRun` for what is no record, `DestinationNotTrusted` for one of another run, errno names
 */
export function readRecord(staging: OpenDirectory, { targetPath, runId }: { readonly targetPath: string; readonly runId: string }): WrittenRecord | undefined {
  const record = readOwnRecord(staging.entry(RECORD_NAME), recordOf(targetPath));
  if (record === undefined || record.owner.runId === runId) return record;
  const path = pathText(staging.path);
  throw new StorageError('DestinationNotTrusted', 'destination', path, `${path} is not the staging directory of this run: its ${RECORD_NAME} is another one's`);
}
