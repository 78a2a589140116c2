import * as fs from 'node:fs';
import { renameNew } from '../../batch/publish-chunk';
import type { TransferControl } from '../../control';
import { isErrno, StorageError } from '../../errors';
import { isLinkImpossible } from '../../hard-links';
import { pathText, type PathBytes } from '../../path-bytes';
import { makeFifo } from '../../posix';
import { readBackFrom } from '../../read-back';
import { unlinkIfPresent } from '../../staging';
import type { OpenDirectories } from '../../batch/open-directories';
import { applyEntryAttributes } from './attributes';
import { copyItem } from './copy-item';
import { withCopy } from './open-source';
import type { SnapshotSource } from './request';
import { otherMount } from './reach';
import type { FifoItem, HardLinkItem, SymlinkItem } from './restore-item';

/** Makes one entry aside, complete with its attributes, and gives it its name: exclusively, unless it replaces something. */
export function makeAside(staged: string, target: PathBytes, replaces: boolean, text: string, make: () => void): void {
  try {
    make();
    if (replaces) fs.renameSync(staged, target);
    else linkNew(staged, target, text);
  } catch (error) {
    throw isErrno(error, 'EXDEV') ? otherMount(text, error) : error;
  } finally {
    // A rename to another name of the same file leaves it.
    unlinkIfPresent(staged);
  }
}

function linkNew(staged: string, target: PathBytes, text: string): void {
  try {
    fs.linkSync(staged, target);
  } catch (error) {
    if (!isLinkImpossible(error)) throw error;
    renameNew(staged, target, text);
  }
}

export function makeSymlink(staged: string, { linkTarget, attributes }: SymlinkItem): void {
  fs.symlinkSync(linkTarget, staged);
  applyEntryAttributes(staged, 'symlink', attributes);
}

export function makeRestoredFifo(staged: string, { attributes }: FifoItem): void {
  makeFifo(staged, 0o600);
  applyEntryAttributes(staged, 'fifo', attributes);
}

/** A further name whose first one is not there as recorded: a file of its own, from its own copy in the snapshot. */
export function makeOwnCopy(staged: string, item: HardLinkItem, text: string, source: SnapshotSource, sources: OpenDirectories, control: TransferControl): void {
  withCopy(source, sources, item.path, (copy) => copyItem(staged, copy, item, text, control, true));
  const { sha256 } = readBackFrom(staged, 'cache', control, item.sizeBytes);
  if (sha256 === item.sha256) return;
  throw new StorageError('ChecksumMismatch', 'destination', pathText(item.path), `Checksum mismatch of the copy for ${text}: expected ${item.sha256}, found ${sha256}`);
}
