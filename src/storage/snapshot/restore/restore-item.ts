import { toJsonPath, type PathBytes } from '../../path-bytes';
import type { EntryType } from '../entry';
import type { Attributes } from './attributes';
import type { SkipReason } from './request';

/** Absolute, as the source had it. */
interface AtPath {
  readonly path: PathBytes;
}

interface WithContent extends AtPath {
  readonly attributes: Attributes;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface FileItem extends WithContent {
  readonly type: 'file';
}

/** A further name of a file that is restored under another one. */
export interface HardLinkItem extends WithContent {
  readonly type: 'hardLink';
  readonly first: PathBytes;
}

export interface DirectoryItem extends AtPath {
  readonly type: 'directory';
  readonly attributes: Attributes;
  /** False of a directory that only leads to what is restored: one that exists stays as it is. */
  readonly isDue: boolean;
  /** It was there when the restore was planned, and is not to be overwritten. */
  readonly isKept?: true;
}

export interface SymlinkItem extends AtPath {
  readonly type: 'symlink';
  readonly attributes: Attributes;
  readonly linkTarget: PathBytes;
}

export interface FifoItem extends AtPath {
  readonly type: 'fifo';
  readonly attributes: Attributes;
}

export interface SkippedItem extends AtPath {
  readonly type: 'skipped';
  readonly entryType: EntryType;
  readonly reason: SkipReason;
  /** It was asked for by its name: that it is not restored is a failure. */
  readonly isNamed?: true;
}

/** What a restore makes after all files: everything else that has a name. */
export type TreeItem = HardLinkItem | DirectoryItem | SymlinkItem | FifoItem | SkippedItem;

/** One entry of a snapshot, as a restore sees it. */
export type RestoreItem = FileItem | TreeItem;

/** As it stands in a plan, ready for JSON. */
export function itemLine(item: RestoreItem): unknown {
  return {
    ...item,
    path: toJsonPath(item.path),
    first: item.type === 'hardLink' ? toJsonPath(item.first) : undefined,
    linkTarget: item.type === 'symlink' ? toJsonPath(item.linkTarget) : undefined,
  };
}
