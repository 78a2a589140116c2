import type { PathBytes } from '../path-bytes';
import type { PresentEntry, SnapshotEntry } from './entry';
import type { ReadEntry } from './metadata';

/**
 * How an entry of one snapshot differs in another one. `content`: bytes of a file, target of a link, number of a device.
 * `metadata`: nothing but mode, owner or modification time. `unknown`: it could not be backed up into one of them.
 */
export type Change = 'added' | 'removed' | 'content' | 'metadata' | 'type' | 'unknown';

/** One entry that is not the same in both. */
export interface Difference {
  readonly path: PathBytes;
  readonly change: Change;
  readonly before: SnapshotEntry | undefined;
  readonly after: SnapshotEntry | undefined;
}

/** Goes through the entries of two snapshots in their common order, holding one of each at a time. */
export function* compareEntries(before: Iterable<ReadEntry, undefined>, after: Iterable<ReadEntry, undefined>): Generator<Difference> {
  for (const { path, left, right } of merge(before, after)) {
    const change = changeBetween(left, right);
    if (change !== undefined) yield { path, change, before: left, after: right };
  }
}

interface Pair {
  readonly path: PathBytes;
  readonly left: SnapshotEntry | undefined;
  readonly right: SnapshotEntry | undefined;
}

function* merge(lefts: Iterable<ReadEntry, undefined>, rights: Iterable<ReadEntry, undefined>): Generator<Pair> {
  const others = rights[Symbol.iterator]();
  let other = others.next();
  try {
    for (const { path, key, entry } of lefts) {
      for (; other.done !== true && other.value.key < key; other = others.next()) yield { path: other.value.path, left: undefined, right: other.value.entry };
      const same = other.done !== true && other.value.key === key ? other.value : undefined;
      yield { path, left: entry, right: same?.entry };
      if (same !== undefined) other = others.next();
    }
    for (; other.done !== true; other = others.next()) yield { path: other.value.path, left: undefined, right: other.value.entry };
  } finally {
    // A reader that leaves early must not leave a file open.
    others.return?.();
  }
}

function changeBetween(before: SnapshotEntry | undefined, after: SnapshotEntry | undefined): Change | undefined {
  if (before?.state === 'failed' || after?.state === 'failed') return 'unknown';
  if (before === undefined) return 'added';
  if (after === undefined) return 'removed';
  if (before.type !== after.type) return 'type';
  if (contentOf(before) !== contentOf(after)) return 'content';
  return before.mode === after.mode && before.uid === after.uid && before.gid === after.gid && before.mtimeNs === after.mtimeNs ? undefined : 'metadata';
}

/** One text for each content. A link's target that is no UTF-8 is an object, of which no two are the same. */
function contentOf(entry: PresentEntry): string | undefined {
  if (entry.type === 'file') return `${entry.sizeBytes} ${entry.sha256}`;
  if (entry.type === 'symlink') return JSON.stringify(entry.linkTarget);
  return entry.type === 'directory' ? undefined : entry.deviceNumber;
}
