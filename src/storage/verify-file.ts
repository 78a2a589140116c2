import type { TransferControl } from './control';
import { blaming, StorageError } from './errors';
import { readBack, type ReadFrom } from './read-back';
import { inParent } from './directory';
import { inStaging, requireEntryName, type StagingLocation } from './staging';

/** What a file must hold. */
export interface ExpectedContent {
  readonly sha256: string;
  readonly sizeBytes: number;
}

export interface Verified {
  readonly from: ReadFrom;
}

/** Reads a staged file back. @throws StorageError `ChecksumMismatch`, `StagingRevoked`, `DestinationGone`, errno names */
export function verifyStagedFile(location: StagingLocation, name: string, expected: ExpectedContent, prefer: ReadFrom, control: TransferControl): Verified {
  return inStaging(location, (staging) => requireContent(staging.entry(requireEntryName(name, location)), location.targetPath, expected, prefer, control));
}

/** Reads the target itself back, as `atomic: false` does. @throws StorageError `ChecksumMismatch`, errno names */
export function verifyTarget(root: string, targetPath: string, expected: ExpectedContent, prefer: ReadFrom, control: TransferControl): Verified {
  return inParent(root, targetPath, 'destination', (parent, name) => requireContent(parent.entry(name), targetPath, expected, prefer, control));
}

/** @throws StorageError `ChecksumMismatch` unless the file at `path` holds what is expected */
export function requireContent(path: string, targetPath: string, expected: ExpectedContent, prefer: ReadFrom, control: TransferControl): Verified {
  const found = blaming('destination', targetPath, () => readBack(path, prefer, control));
  if (found.sha256 === expected.sha256 && found.sizeBytes === expected.sizeBytes) return { from: found.from };
  throw new StorageError(
    'ChecksumMismatch',
    'destination',
    targetPath,
    `Checksum mismatch of the copy for ${targetPath}: expected ${expected.sha256} (${expected.sizeBytes} bytes), found ${found.sha256} (${found.sizeBytes} bytes)`,
    { expected: expected.sha256, found: found.sha256 },
  );
}
