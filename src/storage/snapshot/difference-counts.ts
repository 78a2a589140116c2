import type { Difference } from './compare-entries';
import type { SnapshotEntry } from './entry';

/** New, removed and changed entries of one kind; changed in content or type. */
export interface KindCounts {
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
}

/** What the differences between two snapshots come to. */
export interface DifferenceCounts {
  readonly files: KindCounts;
  readonly directories: KindCounts;
  /** Symbolic links and special files. */
  readonly others: KindCounts;
  /** Entries with another mode, owner or time, and nothing else. */
  readonly metadataOnly: number;
  /** Entries that could not be backed up into one of the two. */
  readonly unknown: number;
  /** Bytes of files that are in the second snapshot only, and in the first only; of a changed file both. */
  readonly addedBytes: number;
  readonly removedBytes: number;
}

const none: KindCounts = { added: 0, removed: 0, changed: 0 };

/** Before the first difference. */
export const noDifferences: DifferenceCounts = { files: none, directories: none, others: none, metadataOnly: 0, unknown: 0, addedBytes: 0, removedBytes: 0 };

/** The counts with one difference more. */
export function countDifference(counts: DifferenceCounts, { change, before, after }: Difference): DifferenceCounts {
  if (change === 'metadata') return { ...counts, metadataOnly: counts.metadataOnly + 1 };
  if (change === 'unknown') return { ...counts, unknown: counts.unknown + 1 };
  const kind = kindOf(after ?? before);
  const field = change === 'added' || change === 'removed' ? change : 'changed';
  return {
    ...counts,
    [kind]: { ...counts[kind], [field]: counts[kind][field] + 1 },
    addedBytes: counts.addedBytes + bytesOf(after),
    removedBytes: counts.removedBytes + bytesOf(before),
  };
}

function kindOf(entry: SnapshotEntry | undefined): 'files' | 'directories' | 'others' {
  if (entry?.type === 'file') return 'files';
  return entry?.type === 'directory' ? 'directories' : 'others';
}

function bytesOf(entry: SnapshotEntry | undefined): number {
  return entry?.type === 'file' && entry.state !== 'failed' ? entry.sizeBytes : 0;
}
