import { absolute, absoluteBelowRoot, absoluteTooLong, failure, inode, linkTarget, nanoseconds, sha256 } from '../records/fields';
import { objectOf, oneOf, optional, text, wholeNumber, type Shape } from '../records/shape';
import type { DirectoryEntry, FailedEntry, FileEntry, SnapshotEntry, SpecialEntry, SymlinkEntry } from './entry';

/** The greatest number means "leave the owner as it is" to the operating system. */
const owner = wholeNumber(0xfffffffe);

/** Permission bits, set-user-id, set-group-id and sticky bit, and nothing else. */
const mode = text(4, /^[0-7]{4}$/);

/** What every entry has that could be looked at. */
export const attributeFields = { mode, uid: owner, gid: owner, mtimeNs: nanoseconds };

const recorded = { path: absoluteBelowRoot, ...attributeFields, state: oneOf('recorded') };

export const fileEntry: Shape<FileEntry> = objectOf<FileEntry>({
  path: absoluteBelowRoot,
  ...attributeFields,
  type: oneOf('file'),
  state: oneOf('copied', 'unchanged'),
  sizeBytes: wholeNumber(),
  sha256,
  ctimeNs: nanoseconds,
  inode,
  readAt: text(40),
  recent: optional(oneOf(true)),
  changed: optional(oneOf(true)),
  hardLink: optional(absoluteBelowRoot),
  linkedTo: optional(absoluteBelowRoot),
});

const directoryEntry = objectOf<DirectoryEntry>({ ...recorded, path: absolute, type: oneOf('directory') });
const symlinkEntry = objectOf<SymlinkEntry>({ ...recorded, type: oneOf('symlink'), linkTarget });
const specialEntry = objectOf<SpecialEntry>({ ...recorded, type: oneOf('fifo', 'socket', 'blockDevice', 'characterDevice'), deviceNumber: optional(text(40, /^\d+:\d+$/)) });

export const entryType = oneOf('file', 'directory', 'symlink', 'fifo', 'socket', 'blockDevice', 'characterDevice');

export const failedEntry: Shape<FailedEntry> = objectOf<FailedEntry>({ path: absoluteTooLong, type: entryType, state: oneOf('failed'), failure });

const byType: ReadonlyMap<unknown, Shape<SnapshotEntry>> = new Map<unknown, Shape<SnapshotEntry>>([['file', fileEntry], ['directory', directoryEntry], ['symlink', symlinkEntry]]);

/** An entry that is no file with bytes of its own, as the plan of a snapshot knows it. */
export const otherEntry: Shape<Exclude<SnapshotEntry, FileEntry>> = (value) => {
  const { type, state } = (value ?? {}) as Partial<SnapshotEntry>;
  if (state !== 'failed' && type === 'file') return 'type';
  return snapshotEntry(value);
};

/** A line of `metadata.ndjson`. */
export const snapshotEntry: Shape<SnapshotEntry> = (value) => {
  const { type, state } = (value ?? {}) as Partial<SnapshotEntry>;
  if (state === 'failed') return failedEntry(value);
  return (byType.get(type) ?? specialEntry)(value);
};
