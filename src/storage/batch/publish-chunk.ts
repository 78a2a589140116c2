import * as fs from 'node:fs';
import type { TransferControl } from '../control';
import { blaming, isErrno, StorageError } from '../errors';
import { isSameInode, lstatIfPresent } from '../file-stat';
import { joinPath, pathText, splitPath, type PathBytes } from '../path-bytes';
import { readBackFrom, whereToRead, type ReadFrom } from '../read-back';
import { removeStaging } from '../staging';
import { attemptDirectory } from './attempt-directory';
import type { ChunkTask } from './chunk';
import type { ChunkFile } from './chunk-file';
import { requireSynced } from './group-sync';
import { failedEntries, writeJournal, type ChunkReport } from './journal';
import { OpenDirectories } from './open-directories';
import { outcomeOf } from './outcome';
import type { StagedChunk } from './stage-chunk';

interface Publication {
  readonly task: ChunkTask;
  readonly directory: string;
  readonly targets: OpenDirectories;
  readonly verifyFrom: ReadFrom | null;
  /** Where files were read from in fact: `cache` as soon as one was. */
  readFrom: ReadFrom | null;
  readonly control: TransferControl;
}

/**
 * The second half of the work on a chunk, after its staged files were made durable: reads them back, gives them their
 * names, makes the names durable, and writes the journal.
 * @throws StorageError `StagingRevoked`, `Cancelled`, `DestinationError`, errno names of the run's own files
 */
export function publishChunk(task: ChunkTask, { files, createdDirectories }: StagedChunk, control: TransferControl): ChunkReport {
  const { settings } = task;
  const directory = attemptDirectory(task);
  const verifyFrom = settings.verify === 'none' ? null : whereToRead(directory, settings.verify);
  const targets = new OpenDirectories('destination');
  const publication: Publication = { task, directory, targets, verifyFrom, readFrom: verifyFrom, control };
  try {
    for (const file of files) unlessFailed(file, () => verifyOne(publication, file));
    for (const file of files) unlessFailed(file, () => publishOne(publication, file));
    const entries = files.map((file) => file.journalEntry());
    const outcome = outcomeOf(entries, publication.readFrom, createdDirectories);
    writePublished(publication, () => writeJournal(settings.location, task.chunk, outcome, entries, settings.syncEach ? undefined : () => requireSynced(settings.location, control)));
    removeStaging(directory);
    return { ...outcome, failed: failedEntries(entries) };
  } finally {
    targets.close();
  }
}

/** The new names are durable before the journal says so: one directory after the other, or together with its draft. */
function writePublished({ task, targets }: Publication, write: () => void): void {
  if (task.settings.syncEach) targets.sync();
  write();
}

function verifyOne(publication: Publication, file: ChunkFile): void {
  const { directory, verifyFrom, control } = publication;
  if (file.staged === undefined || verifyFrom === null) return;
  const target = pathText(file.target);
  const found = blaming('destination', target, () => readBackFrom(`${directory}/${file.staged}`, verifyFrom, control, file.sizeBytes));
  if (found.from === 'cache') publication.readFrom = 'cache';
  if (found.sha256 === file.sha256 && found.sizeBytes === file.sizeBytes) return;
  throw new StorageError('ChecksumMismatch', 'destination', target, `Checksum mismatch of the copy for ${target}: expected ${file.sha256}, found ${found.sha256}`);
}

function publishOne(publication: Publication, file: ChunkFile): void {
  const { staged } = file;
  if (staged === undefined) return;
  const { task, targets, control } = publication;
  const { location, syncEach } = task.settings;
  control.throwIfCancelled();
  const targetPath = joinPath(location.destination, file.target);
  const text = pathText(targetPath);
  blaming('destination', text, () => {
    const { directory, name } = splitPath(targetPath);
    const parent = targets.get(location.root, directory);
    const path = `${publication.directory}/${staged}`;
    if (file.targetExisted) file.kept = replace(publication, path, parent.entry(name), staged);
    else create(path, parent.entry(name), text);
    if (syncEach) targets.touch(parent);
  });
}

/** Linked, so that nothing is overwritten unseen. */
function create(staged: string, target: PathBytes, text: string): void {
  try {
    fs.linkSync(staged, target);
  } catch (error) {
    if (isErrno(error, 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK')) return renameNew(staged, target, text);
    if (!isErrno(error, 'EEXIST')) throw explained(error);
    const found = lstatIfPresent(target);
    if (found !== undefined && isSameInode(found, fs.lstatSync(staged, { bigint: true }))) return;
    throw new StorageError('DestinationConflict', 'destination', text, `Target ${text} was created meanwhile`, {}, { cause: error });
  }
}

function renameNew(staged: string, target: PathBytes, text: string): void {
  if (lstatIfPresent(target) !== undefined) throw new StorageError('DestinationConflict', 'destination', text, `Target ${text} was created meanwhile`);
  fs.renameSync(staged, target);
}

function replace({ task, directory }: Publication, staged: string, target: PathBytes, name: string): string | undefined {
  const kept = task.settings.keepPrevious ? keptName(task.attemptName, name) : undefined;
  if (kept !== undefined) {
    fs.linkSync(target, `${directory}/../${kept}`);
    fs.linkSync(staged, `${directory}/../${oursName(kept)}`);
  }
  try {
    fs.renameSync(staged, target);
  } catch (error) {
    throw explained(error);
  }
  return kept;
}

/** Name in the run's staging directory of a previous target, kept until the run is committed. */
export function keptName(attemptName: string, staged: string): string {
  return `kept-${attemptName}-${staged}`;
}

/** Second link of the file that replaced it: undo tells ours by it. */
export function oursName(kept: string): string {
  return `${kept}-ours`;
}

/** The staging directory was renamed away: the run has ended, and this attempt comes too late. */
function explained(error: unknown): unknown {
  return isErrno(error, 'ENOENT') ? new StorageError('StagingRevoked', 'destination', '', 'The staging directory of the run is gone', {}, { cause: error }) : error;
}

function unlessFailed(file: ChunkFile, calls: () => void): void {
  try {
    calls();
  } catch (error) {
    if (error instanceof StorageError && (error.code === 'Cancelled' || error.code === 'StagingRevoked')) throw error;
    file.fail(error);
  }
}
