import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import type { TransferControl } from './control';
import { conflict, copyPrevious } from './copy-previous';
import { inParent, using, type OpenDirectory } from './directory';
import { unlinkIfPresent } from './entries';
import { blaming, isErrno, StorageError } from './errors';
import { fileStat, isSameInode, isWhatWasThere, lstatIfPresent, type FileStat } from './file-stat';
import { isLinkRefused } from './hard-links';
import { isOurs } from './ours';
import type { PreparedStaging } from './prepare-staging';
import { entryNames, explainMissing, READY, liveEntry, openStaging, requireEntryName, type StagingLocation } from './staging';
import { requireContent, type ExpectedContent } from './verify-file';

export type PublishedBy = 'link' | 'rename';

export interface PublishRequest {
  readonly location: StagingLocation;
  readonly prepared: PreparedStaging;
  readonly stagedName: string;
  readonly expected: StagedContent;
}

/** What the staged file must hold, and which file it is. */
export interface StagedContent extends ExpectedContent {
  /** Absent where it was staged by a version that did not say. */
  readonly inode?: string;
}

/** A publication under way. */
interface Publication {
  readonly request: PublishRequest;
  readonly staging: OpenDirectory;
  readonly target: string;
  /** Path of the staged file by the staging directory's name. */
  readonly live: string;
  /** The staged file as it was found through the open staging directory. */
  readonly verified: fs.BigIntStats | undefined;
}

/**
 * Makes the staged file the target, at once and for good. A new target is linked, so nothing is overwritten unseen; an
 * existing one is kept in staging before it is replaced. The staged file is named by way of the staging directory's name,
 * so an attempt that comes after `revoke` finds nothing; what was published is compared with the file that was verified.
 * Repeated after an unknown outcome, a finished target is read again first.
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
        using(openStaging(parent, location), (staging) => {
          if (isPublished(staging, target, request, control)) return;
          const publication: Publication = { request, staging, target, live: liveEntry(parent, location, request.stagedName), verified: verifiedFile(staging, request) };
          if (prepared.previous === null) publishNew(publication);
          else publishOver(publication, prepared.previous, control);
        });
        parent.sync();
        return prepared.previous === null && prepared.hardLinks ? 'link' : 'rename';
      }),
    ),
  );
}

/** An earlier attempt got through: adopt its work only after reading it again. */
function isPublished(staging: OpenDirectory, target: string, { location, prepared, stagedName, expected }: PublishRequest, control: TransferControl): boolean {
  const traces = { hardLinks: prepared.hardLinks, published: staging.entry(entryNames.published), staged: staging.entry(stagedName) };
  if (!isOurs(target, traces, expected, control)) return false;
  try {
    requireContent(target, location.targetPath, expected, 'device', control);
    return true;
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== 'ChecksumMismatch') throw error;
    throw conflict(location.targetPath, 'it was published and reads back differently now', error.found);
  }
}

/** The staged file, if it is the one that was staged. Undefined where it is gone: then the target says why. */
function verifiedFile(staging: OpenDirectory, { location, prepared, stagedName, expected }: PublishRequest): fs.BigIntStats | undefined {
  const stats = lstatIfPresent(staging.entry(stagedName));
  // Without hard links, inode numbers are often made up anew.
  if (stats === undefined || expected.inode === undefined || !prepared.hardLinks || String(stats.ino) === expected.inode) return stats;
  throw conflict(location.targetPath, 'the staged file was exchanged');
}

function publishNew(publication: Publication): void {
  const { request, target, live } = publication;
  const { location, prepared } = request;
  if (!prepared.hardLinks) {
    // The weaker mode: between this look and the rename somebody else's new file could be replaced.
    if (lstatIfPresent(target) !== undefined) throw conflict(location.targetPath, 'it was created meanwhile');
    fs.renameSync(live, target);
  } else {
    keepLink(publication);
    try {
      fs.linkSync(live, target);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      throw conflict(location.targetPath, 'it was created meanwhile');
    }
  }
  requireVerified(publication);
}

function publishOver(publication: Publication, previous: FileStat, control: TransferControl): void {
  const { request, staging, target, live } = publication;
  const { location, prepared } = request;
  const kept = staging.entry(entryNames.previous);
  if (prepared.hardLinks) keepLink(publication);
  const stats = lstatIfPresent(target);
  if (stats === undefined) throw conflict(location.targetPath, 'it was removed meanwhile');
  if (!isWhatWasThere(previous, fileStat(stats))) throw conflict(location.targetPath, 'it was replaced meanwhile');
  keepPrevious(target, stats, kept, location, control);
  staging.sync();
  if (prepared.hardLinks) replaceTarget(publication);
  else fs.renameSync(live, target);
  requireVerified(publication);
}

/**
 * Renamed is a further link of the staged file, since a rename by way of the staging directory's name could carry somebody
 * else's file off. The link can only be made while the run is not revoked, and whoever revokes it removes such links
 * before the target is looked at.
 */
function replaceTarget({ request, staging, target, live, verified }: Publication): void {
  const ready = staging.entry(`${READY}${randomUUID()}`);
  fs.linkSync(live, ready);
  const stats = fs.lstatSync(ready, { bigint: true });
  if (verified === undefined || !isSameInode(stats, verified)) throw conflict(request.location.targetPath, 'the staged file was exchanged after it was verified');
  fs.renameSync(ready, target);
  unlinkIfPresent(staging.entry(request.stagedName));
}

/**
 * Somebody may have put another directory in the place of staging between the look and the publication. What lies at the
 * target goes again only where it is known for the file that was exchanged: else it is somebody else's by now.
 */
function requireVerified({ request, target, live, verified }: Publication): void {
  const stats = lstatIfPresent(target);
  if (stats === undefined || verified === undefined || isSameInode(stats, verified)) return;
  const exchanged = lstatIfPresent(live);
  if (request.prepared.previous === null && exchanged !== undefined && isSameInode(stats, exchanged)) unlinkIfPresent(target);
  throw conflict(request.location.targetPath, 'it holds another file than the one that was verified');
}

function keepLink({ request: { location, stagedName }, staging }: Publication): void {
  const staged = staging.entry(stagedName);
  const kept = staging.entry(entryNames.published);
  try {
    fs.linkSync(staged, kept);
  } catch (error) {
    // The staged file was renamed to the target by an earlier attempt, and the target is not it any more.
    if (isErrno(error, 'ENOENT') && lstatIfPresent(kept) !== undefined) throw conflict(location.targetPath, 'somebody else wrote it after it was published');
    if (!isErrno(error, 'EEXIST')) throw error;
    if (!isSameInode(fs.lstatSync(staged, { bigint: true }), fs.lstatSync(kept, { bigint: true }))) throw conflict(location.targetPath, 'another attempt staged other content');
  }
}

function keepPrevious(target: string, stats: fs.BigIntStats, kept: string, location: StagingLocation, control: TransferControl): void {
  try {
    fs.linkSync(target, kept);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return;
    // No links here or none more, or a file of another owner under protected_hardlinks: keep its bytes and metadata instead.
    if (!isLinkRefused(error)) throw error;
    copyPrevious(target, stats, kept, location.targetPath, control);
    return;
  }
  if (!isSameInode(stats, fs.lstatSync(kept, { bigint: true }))) throw conflict(location.targetPath, 'it was replaced meanwhile');
}
