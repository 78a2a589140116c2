import * as fs from 'node:fs';
import { parseJson } from '../core/parse-json';
import type { OpenDirectory } from './directory';
import { blaming, isErrno, StorageError } from './errors';
import type { FileStat } from './file-stat';
import { pathText } from './path-bytes';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

export const RECORD_NAME = 'record.json';
/** Records are written aside under names of this beginning. */
export const RECORD_DRAFT = 'record-';

const FORMAT_VERSION = 1;
/** An owner, a target, and its missing parents. */
const MAX_RECORD_BYTES = 256 * 1024;

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
 * @throws StorageError `DestinationNotTrusted` for a mark that is no record of this run, errno names
 */
export function readRecord(staging: OpenDirectory, runId: string): StagingRecord | undefined {
  const path = pathText(staging.path);
  return blaming('destination', path, () => {
    try {
      const record = parse(readSmallFile(staging.entry(RECORD_NAME)));
      if (record?.owner?.runId === runId) return record;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
    throw new StorageError('DestinationNotTrusted', 'destination', path, `${path} is not the staging directory of this run: its ${RECORD_NAME} is another one's`);
  });
}

/** Undefined for anything but a small regular file. */
function readSmallFile(path: string): string | undefined {
  const descriptor = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stats = fs.fstatSync(descriptor);
    return stats.isFile() && stats.size <= MAX_RECORD_BYTES ? fs.readFileSync(descriptor, 'utf8') : undefined;
  } finally {
    fs.closeSync(descriptor);
  }
}

function parse(text: string | undefined): StagingRecord | undefined {
  try {
    return text === undefined ? undefined : ((parseJson(text) ?? undefined) as StagingRecord | undefined);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
