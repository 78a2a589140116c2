import type { FileEntry } from './entry';
import type { Found } from './found';

/**
 * Nothing about the source has changed since its bytes were read. The time of change counts too, since it cannot be set
 * back; an entry that was written to just before it was read proves nothing.
 */
export function isUnchanged(known: FileEntry, { stats }: Found): boolean {
  return (
    known.recent !== true &&
    known.changed !== true &&
    String(stats.ctimeNs) === known.ctimeNs &&
    String(stats.mtimeNs) === known.mtimeNs &&
    Number(stats.size) === known.sizeBytes &&
    String(stats.ino) === known.inode
  );
}
