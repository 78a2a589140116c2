import { blaming, isErrno, StorageError } from '../errors';
import { pathText, type PathBytes } from '../path-bytes';
import { spaceLeft, spaceText, type SpaceLeft } from '../space-left';
import { chunkLimits } from './chunked-lines';

/** Kept free of copies, beside what a run has set aside: the journals of what did fit are written to the same disk. */
const MARGIN_BYTES = 1024 * 1024;

/** Likewise of inodes: a journal for each lane, the records at the end, and what lanes take at the same time. */
const MARGIN_FILES = 16;

/** Less than what all lanes together may be copying: from here on each file is looked at before it is copied. */
const SCARCE_BYTES = 64 * chunkLimits.bytes;
const SCARCE_FILES = 64 * chunkLimits.files;

/** A destination that takes no file of this size any more is full, and not just too small for a large one. */
const SMALL_FILE_BYTES = 64 * 1024;

/** @throws StorageError errno names */
export function freeSpace(directory: PathBytes): SpaceLeft {
  return blaming('destination', pathText(directory), () => spaceLeft(directory));
}

export function isScarce(destination: string, chunkBytes: number): boolean {
  return !fits(freeSpace(destination), { bytes: chunkBytes + SCARCE_BYTES, files: SCARCE_FILES });
}

/** So few names are left that a file had better keep the one it has: on some file systems each further one takes an inode. */
export function hasFewInodes(directory: string): boolean {
  return freeSpace(directory).files <= MARGIN_FILES;
}

/** Whether so much more leaves enough for a run to be written about. */
function fits(free: SpaceLeft, { bytes, files }: SpaceLeft): boolean {
  return bytes + MARGIN_BYTES <= free.bytes && files + MARGIN_FILES <= free.files;
}

/** @throws StorageError `ENOSPC` before a copy takes the last of the space */
export function requireSpace(destination: PathBytes, targetPath: string, sizeBytes: number, files = 1): void {
  const free = freeSpace(destination);
  if (!fits(free, { bytes: sizeBytes, files })) throw new StorageError('ENOSPC', 'destination', targetPath, `${pathText(destination)} has no space left for ${targetPath}: ${spaceText(free)} are free, and some are kept for the run's record`);
}

/**
 * Says that nothing more fits into one of the directories, small files included; undefined while something does. One that
 * is not there is no full one.
 * @param isQuotaUsed files have failed by a quota, which the file system does not tell of
 */
export function fullText(directories: readonly string[], isQuotaUsed = false): string | undefined {
  for (const directory of directories) {
    try {
      const free = freeSpace(directory);
      if (!fits(free, { bytes: SMALL_FILE_BYTES, files: 1 })) return `${directory} is full: ${spaceText(free)} are free, and these are kept for the run's record`;
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
  return isQuotaUsed ? `The quota of this user on ${directories.join(', ')} is used up` : undefined;
}
