import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { stagingName } from '../core/names';
import type { TransferControl } from './control';
import { copyInto } from './copy';
import { inParent, syncDirectory, type OpenDirectory } from './directory';
import { blaming, isErrno, StorageError } from './errors';
import { fileStat, isSameInode, isWhatWasThere, lstatIfPresent, type FileStat } from './file-stat';
import { isOurs } from './ours';
import type { PreparedStaging } from './prepare-staging';
import type { OpenSource } from './source';
import { entryNames, explainMissing, liveEntry, requireEntryName, type StagingLocation } from './staging';
import { requireContent, type ExpectedContent } from './verify-file';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

export type PublishedBy = 'link' | 'rename';

export interface PublishRequest {
  readonly location: StagingLocation;
  readonly prepared: PreparedStaging;
  readonly stagedName: string;
  readonly expected: ExpectedContent;
}

/**
 * Makes the staged file the target, at once and for good. A new target is linked, so nothing is overwritten unseen; an
 * existing one is kept in staging before it is replaced. Every path leads through the staging directory, so an attempt
 * that comes after `revoke` finds nothing. Repeated after an unknown outcome, a finished target is read again first.
 * @throws StorageError `DestinationConflict`, `StagingRevoked`, `DestinationGone`, `Cancelled`, errno names
 */
export function publishFile(request: PublishRequest, control: TransferControl): PublishedBy {
  const { location, prepared } = request;
  return explainMissing(location, () =>
    inParent(location.root, location.targetPath, 'destination', (parent, name) =>
      blaming('destination', location.targetPath, () => {
        requireEntryName(request.stagedName, location);
        control.throwIfCancelled();
        const target = parent.entry(name);
        if (!isPublished(parent, target, request, control)) {
          if (prepared.previous === null) publishNew(parent, target, request);
          else publishOver(parent, target, prepared.previous, request, control);
        }
        parent.sync();
        return prepared.previous === null && prepared.hardLinks ? 'link' : 'rename';
      }),
    ),
  );
}

/** An earlier attempt got through: adopt its work only after reading it again. */
function isPublished(parent: OpenDirectory, target: string, { location, prepared, stagedName, expected }: PublishRequest, control: TransferControl): boolean {
  const traces = {
    hardLinks: prepared.hardLinks,
    published: liveEntry(parent, location, entryNames.published),
    staged: liveEntry(parent, location, stagedName),
  };
  if (!isOurs(target, traces, expected, control)) return false;
  try {
    requireContent(target, location.targetPath, expected, 'device', control);
    return true;
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== 'ChecksumMismatch') throw error;
    throw conflict(location, 'it was published and reads back differently now', error.found);
  }
}

function publishNew(parent: OpenDirectory, target: string, { location, prepared, stagedName }: PublishRequest): void {
  const staged = liveEntry(parent, location, stagedName);
  if (!prepared.hardLinks) {
    // The weaker mode: between this look and the rename somebody else's new file could be replaced.
    if (lstatIfPresent(target) !== undefined) throw conflict(location, 'it was created meanwhile');
    fs.renameSync(staged, target);
    return;
  }
  keepLink(parent, location, stagedName);
  try {
    fs.linkSync(staged, target);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    throw conflict(location, 'it was created meanwhile');
  }
}

function publishOver(parent: OpenDirectory, target: string, previous: FileStat, { location, prepared, stagedName }: PublishRequest, control: TransferControl): void {
  const staged = liveEntry(parent, location, stagedName);
  if (prepared.hardLinks) keepLink(parent, location, stagedName);
  const stats = lstatIfPresent(target);
  if (stats === undefined) throw conflict(location, 'it was removed meanwhile');
  if (!isWhatWasThere(previous, fileStat(stats))) throw conflict(location, 'it was replaced meanwhile');
  keepPrevious(target, stats, liveEntry(parent, location, entryNames.previous), location, control);
  syncDirectory(parent.entry(stagingName(location.runId)));
  fs.renameSync(staged, target);
}

function keepLink(parent: OpenDirectory, location: StagingLocation, stagedName: string): void {
  const staged = liveEntry(parent, location, stagedName);
  const kept = liveEntry(parent, location, entryNames.published);
  try {
    fs.linkSync(staged, kept);
  } catch (error) {
    // The staged file was renamed to the target by an earlier attempt, and the target is not it any more.
    if (isErrno(error, 'ENOENT') && lstatIfPresent(kept) !== undefined) throw conflict(location, 'somebody else wrote it after it was published');
    if (!isErrno(error, 'EEXIST')) throw error;
    if (!isSameInode(fs.lstatSync(staged, { bigint: true }), fs.lstatSync(kept, { bigint: true }))) throw conflict(location, 'another attempt staged other content');
  }
}

function keepPrevious(target: string, stats: fs.BigIntStats, kept: string, location: StagingLocation, control: TransferControl): void {
  try {
    fs.linkSync(target, kept);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return;
    // No links here, or a file of another owner under protected_hardlinks: keep its bytes and metadata instead.
    if (!isErrno(error, 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK', 'EINVAL')) throw error;
    copyPrevious(target, stats, kept, location, control);
    return;
  }
  if (!isSameInode(stats, fs.lstatSync(kept, { bigint: true }))) throw conflict(location, 'it was replaced meanwhile');
}

/**
 * Attempts may overlap, and another one may publish at any moment: what is copied is the file that was looked at, and
 * a copy gets the name `previous` only when it is whole. Two of them are the same.
 */
function copyPrevious(target: string, stats: fs.BigIntStats, kept: string, location: StagingLocation, control: TransferControl): void {
  const draft = `${kept}-${randomUUID()}`;
  const source = fs.openSync(target, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const opened = fs.fstatSync(source, { bigint: true });
    if (!isSameInode(stats, opened)) throw conflict(location, 'it was replaced meanwhile');
    const descriptor = fs.openSync(draft, O_WRONLY | O_CREAT | O_EXCL, 0o600);
    try {
      copyOfTarget(descriptor, { descriptor: source, stats: opened }, location, control);
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
function copyOfTarget(draft: number, source: OpenSource, location: StagingLocation, control: TransferControl): void {
  const { targetPath } = location;
  try {
    copyInto(draft, source, { sourcePath: targetPath, targetPath, onSourceChanged: 'fail', control, sync: true });
  } catch (error) {
    if (!(error instanceof StorageError) || error.side !== 'source') throw error;
    if (error.code === 'SourceChanged') throw conflict(location, 'it was written to meanwhile');
    throw new StorageError(error.code, 'destination', targetPath, `Previous target ${targetPath} could not be read: ${error.code}`, {}, { cause: error });
  }
}

function conflict({ targetPath }: StagingLocation, how: string, found?: StorageError['found']): StorageError {
  return new StorageError('DestinationConflict', 'destination', targetPath, `Target ${targetPath} is not as the backup found it: ${how}`, found);
}
