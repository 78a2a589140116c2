import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import type { TransferControl } from './control';
import { copyInto } from './copy';
import { StorageError } from './errors';
import { isSameInode } from './file-stat';
import type { PathBytes } from './path-bytes';
import type { OpenSource } from './source';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

/** What lies at a target is not what the backup found there. */
export function conflict(targetPath: string, how: string, found?: StorageError['found']): StorageError {
  return new StorageError('DestinationConflict', 'destination', targetPath, `Target ${targetPath} is not as the backup found it: ${how}`, found);
}

/**
 * Keeps what lies at a target under another name as a copy, durable, where it gets no further link. Attempts may overlap,
 * and another one may publish at any moment: what is copied is the file that was looked at, and a copy gets the name `kept`
 * only when it is whole. Two of them are the same.
 * @param stats of the target as it was looked at
 * @param targetPath for messages
 * @param draft where the copy is made
 * @throws StorageError `DestinationConflict`, `Cancelled`, errno names
 */
export function copyPrevious(target: PathBytes, stats: fs.BigIntStats, kept: string, targetPath: string, control: TransferControl, draft = `${kept}-${randomUUID()}`): void {
  const source = fs.openSync(target, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const opened = fs.fstatSync(source, { bigint: true });
    if (!isSameInode(stats, opened)) throw conflict(targetPath, 'it was replaced meanwhile');
    const descriptor = fs.openSync(draft, O_WRONLY | O_CREAT | O_EXCL, 0o600);
    try {
      copyOfTarget(descriptor, { descriptor: source, stats: opened }, targetPath, control);
      // Its own file comes back, with every bit that it had.
      fs.fchmodSync(descriptor, Number(opened.mode) & 0o7777);
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  } finally {
    fs.closeSync(source);
  }
  fs.renameSync(draft, kept);
}

/** Here the destination is what is read, so it is what is blamed. */
function copyOfTarget(draft: number, source: OpenSource, targetPath: string, control: TransferControl): void {
  try {
    copyInto(draft, source, { sourcePath: targetPath, targetPath, onSourceChanged: 'fail', control, sync: true });
  } catch (error) {
    if (!(error instanceof StorageError) || error.side !== 'source') throw error;
    if (error.code === 'SourceChanged') throw conflict(targetPath, 'it was written to meanwhile');
    throw new StorageError(error.code, 'destination', targetPath, `Previous target ${targetPath} could not be read: ${error.code}`, {}, { cause: error });
  }
}
