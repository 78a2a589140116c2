import * as fs from 'node:fs';
import type { TransferControl } from './control';
import { inParent, type OpenDirectory } from './directory';
import { blaming, isErrno, StorageError } from './errors';
import { fileStat, isSameInode, lstatIfPresent, type FileStat } from './file-stat';
import { isOurs } from './ours';
import type { PreparedStaging } from './prepare-staging';
import { entryNames, explainMissing, liveEntry, type StagingLocation } from './staging';
import { requireContent, type ExpectedContent } from './verify-file';

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
        control.throwIfCancelled();
        const target = parent.entry(name);
        if (!isPublished(parent, target, request, control)) {
          if (prepared.previous === null) publishNew(parent, target, request);
          else publishOver(parent, target, prepared.previous, request);
        }
        parent.sync();
        return prepared.previous === null && prepared.hardLinks ? 'link' : 'rename';
      }),
    ),
  );
}

/** An earlier attempt got through: adopt its work only after reading it again. */
function isPublished(parent: OpenDirectory, target: string, { location, prepared, stagedName, expected }: PublishRequest, control: TransferControl): boolean {
  const kept = liveEntry(parent, location, entryNames.published);
  // Without hard links the staged file itself tells: publishing moves it away.
  const mayBe = prepared.hardLinks ? lstatIfPresent(kept) !== undefined : lstatIfPresent(liveEntry(parent, location, stagedName)) === undefined;
  if (!mayBe || !isOurs(target, kept, expected, control)) return false;
  requireContent(target, location.targetPath, expected, 'device', control);
  return true;
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

function publishOver(parent: OpenDirectory, target: string, previous: FileStat, { location, prepared, stagedName }: PublishRequest): void {
  const staged = liveEntry(parent, location, stagedName);
  if (prepared.hardLinks) keepLink(parent, location, stagedName);
  const stats = lstatIfPresent(target);
  if (stats === undefined) throw conflict(location, 'it was removed meanwhile');
  if (!isWhatWasThere(previous, fileStat(stats))) throw conflict(location, 'it was replaced meanwhile');
  keepPrevious(target, stats, liveEntry(parent, location, entryNames.previous), location);
  fs.renameSync(staged, target);
}

/** ctime is left out: keeping a link of the previous target changes it. */
function isWhatWasThere(before: FileStat, now: FileStat): boolean {
  return before.inode === now.inode && before.sizeBytes === now.sizeBytes && before.mtimeNs === now.mtimeNs;
}

function keepLink(parent: OpenDirectory, location: StagingLocation, stagedName: string): void {
  const staged = liveEntry(parent, location, stagedName);
  const kept = liveEntry(parent, location, entryNames.published);
  try {
    fs.linkSync(staged, kept);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    if (!isSameInode(fs.lstatSync(staged, { bigint: true }), fs.lstatSync(kept, { bigint: true }))) throw conflict(location, 'another attempt staged other content');
  }
}

function keepPrevious(target: string, stats: fs.BigIntStats, kept: string, location: StagingLocation): void {
  try {
    fs.linkSync(target, kept);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return;
    // No links here, or a file of another owner under protected_hardlinks: keep its bytes and metadata instead.
    if (!isErrno(error, 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK', 'EINVAL')) throw error;
    copyPrevious(target, stats, kept);
    return;
  }
  if (!isSameInode(stats, fs.lstatSync(kept, { bigint: true }))) throw conflict(location, 'it was replaced meanwhile');
}

function copyPrevious(target: string, stats: fs.BigIntStats, kept: string): void {
  const draft = `${kept}-draft`;
  fs.copyFileSync(target, draft);
  const descriptor = fs.openSync(draft, 'r+');
  try {
    fs.fchmodSync(descriptor, Number(stats.mode) & 0o7777);
    fs.futimesSync(descriptor, Number(stats.atimeMs) / 1000, Number(stats.mtimeNs / 1000n) / 1e6);
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
  fs.renameSync(draft, kept);
}

function conflict({ targetPath }: StagingLocation, how: string): StorageError {
  return new StorageError('DestinationConflict', 'destination', targetPath, `Target ${targetPath} is not as the backup found it: ${how}`);
}
