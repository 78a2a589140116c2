import * as fs from 'node:fs';
import { blaming, StorageError } from '../errors';
import { chunkLimits } from './chunked-lines';

/** Kept free of copies, beside what a run has set aside: the journals of what did fit are written to the same disk. */
const MARGIN_BYTES = 1024 * 1024;

/** Less than what all lanes together may be copying: from here on each file is looked at before it is copied. */
const SCARCE_BYTES = 64 * chunkLimits.bytes;

export function isScarce(destination: string, chunkBytes: number): boolean {
  return !fits(destination, chunkBytes + SCARCE_BYTES);
}

/** Whether so many bytes more leave enough for a run to be written about. */
function fits(destination: string, sizeBytes: number): boolean {
  const { bavail, bsize, blocks } = blaming('destination', destination, () => fs.statfsSync(destination));
  // Some file systems, as a tmpfs without a limit, do not say how large they are.
  return blocks === 0 || sizeBytes + MARGIN_BYTES <= bavail * bsize;
}

/** @throws StorageError `ENOSPC` before a copy takes the last of the space */
export function requireSpace(destination: string, targetPath: string, sizeBytes: number): void {
  if (!fits(destination, sizeBytes)) throw new StorageError('ENOSPC', 'destination', targetPath, `${destination} has no space left for ${targetPath}`);
}
