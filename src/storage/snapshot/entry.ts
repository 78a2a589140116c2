import type { EntryFailure } from '../batch/chunk';
import { bytewise, fromJsonPath, type JsonPath, type PathBytes } from '../path-bytes';

/** What can stand in a directory. */
export type EntryType = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'blockDevice' | 'characterDevice';

/** What all entries that could be looked at have in common; one line of `metadata.ndjson`. */
interface Attributes {
  /** Absolute, as the source has it; its copy is at the same path below `data`. */
  readonly path: JsonPath;
  /** Permission bits, set-user-id, set-group-id and sticky bit, as four octal digits. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: string;
}

/** A regular file whose bytes are in the snapshot. */
export interface FileEntry extends Attributes {
  readonly type: 'file';
  /** `unchanged`: the copy is a hard link of the parent snapshot's. */
  readonly state: 'copied' | 'unchanged';
  readonly sizeBytes: number;
  readonly sha256: string;
  /** With size and modification time what tells that the source is the same still. */
  readonly ctimeNs: string;
  readonly inode: string;
  /** When its bytes were read from the source: digests are carried over from snapshot to snapshot. */
  readonly readAt: string;
  /** Written to so shortly before it was read that its times may not tell a further change: the next snapshot reads it again. */
  readonly recent?: true;
  /** Grew while it was copied, and that was accepted. */
  readonly changed?: true;
  /** A further name of the file with this path, which stands before it. */
  readonly hardLink?: JsonPath;
  /**
   * Of a further name that does not share the first one's copy, since that takes no more links: the name whose copy it
   * shares instead, its own where the copy is its own.
   */
  readonly linkedTo?: JsonPath;
}

export interface DirectoryEntry extends Attributes {
  readonly type: 'directory';
  readonly state: 'recorded';
}

export interface SymlinkEntry extends Attributes {
  readonly type: 'symlink';
  readonly state: 'recorded';
  readonly linkTarget: JsonPath;
}

/** Recorded only: nothing of it is below `data`. */
export interface SpecialEntry extends Attributes {
  readonly type: 'fifo' | 'socket' | 'blockDevice' | 'characterDevice';
  readonly state: 'recorded';
  /** Of devices. */
  readonly deviceNumber?: string;
}

/** What could not be backed up. */
export interface FailedEntry {
  readonly path: JsonPath;
  readonly type: EntryType;
  readonly state: 'failed';
  /** An errno name or one of storage's own findings, and a sentence. */
  readonly failure: EntryFailure;
}

export type PresentEntry = FileEntry | DirectoryEntry | SymlinkEntry | SpecialEntry;
export type SnapshotEntry = PresentEntry | FailedEntry;

/** Copies carry no more: set-user-id, set-group-id and sticky bits are recorded only. */
export const PERMISSION_BITS = 0o777;

/** The name before a file's own whose copy is to be the same file; undefined where its copy is its own. */
export function sharedName({ path, hardLink, linkedTo = hardLink }: FileEntry): PathBytes | undefined {
  if (linkedTo === undefined) return undefined;
  const shared = fromJsonPath(linkedTo);
  return bytewise(shared) === bytewise(fromJsonPath(path)) ? undefined : shared;
}

/** `0o640` as it stands in an entry. */
export function modeText(mode: number | bigint): string {
  return (Number(mode) & 0o7777).toString(8).padStart(4, '0');
}
