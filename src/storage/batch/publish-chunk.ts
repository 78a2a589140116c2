import * as fs from 'node:fs';
import { join } from 'node:path';
import { syncDirectory } from '../directory';
import type { TransferControl } from '../control';
import { blaming, isErrno, StorageError } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { isLinkImpossible, isLinkRefused } from '../hard-links';
import { bytewise, joinPath, pathText, splitPath, type PathBytes } from '../path-bytes';
import { readBackFrom, whereToRead, type ReadFrom } from '../read-back';
import { attemptDirectory, attemptsAt, discardAttempt, isStagedBy, stagingLocations } from './attempt-directory';
import type { ChunkTask, RunSettings } from './chunk';
import type { ChunkFile } from './chunk-file';
import { hasFewInodes, isScarce } from './free-space';
import { finishSync, requireSynced } from './group-sync';
import { failedEntries, readReport, syncJournals, type ChunkReport } from './journal';
import { chunkOutcome } from './journal-shape';
import { keepPrevious, keptDirectory, keptName } from './kept-files';
import { requireRun } from './open-run';
import { inTask } from './run-mark';
import { OpenDirectories } from './open-directories';
import { outcomeOf } from './outcome';
import { runHolder } from './run-directory';
import type { StagedChunk } from './stage-files';
import { journalBody, writeJournal } from './write-journal';

interface Publication {
  readonly task: ChunkTask<RunSettings>;
  readonly targets: OpenDirectories;
  /** Where the files of each staging directory are read back from at best. */
  readonly verifyFrom: Map<number, ReadFrom>;
  /** Where files were read from in fact: `cache` as soon as one was. */
  readFrom: ReadFrom | null;
  /** Names may be about to run out: it is looked at before each. */
  readonly isScarce: boolean;
  readonly control: TransferControl;
}

/**
 * The second half of the work on a chunk, after its staged files were made durable: reads them back, gives them their
 * names, makes the names durable, and writes the journal.
 * @throws StorageError `StagingRevoked`, `Cancelled`, `DestinationError`, errno names of the run's own files
 */
export function publishChunk(task: ChunkTask<RunSettings>, staged: StagedChunk, control: TransferControl): ChunkReport {
  return inTask(task, (opened) => publishIn(opened, staged, control));
}

function publishIn(task: ChunkTask<RunSettings>, { files }: StagedChunk, control: TransferControl): ChunkReport {
  const { settings } = task;
  const done = readReport(settings.location, task.chunk);
  // Another attempt was faster: this one was taken for lost, or that one was.
  if (done !== undefined && done.pass >= task.pass) {
    syncJournals(settings.location);
    return done;
  }
  const targets = new OpenDirectories('destination');
  const publication: Publication = { task, targets, verifyFrom: new Map(), readFrom: settings.verify === 'none' ? null : whereToRead(attemptDirectory(task), settings.verify), isScarce: stagingLocations(settings).some((location) => isScarce(runHolder(location), 0)), control };
  try {
    for (const file of files) unlessFailed(file, () => verifyOne(publication, file));
    if (settings.keepPrevious) keepAll(publication, files);
    // From the first name on the chunk is finished, whoever cancels it: else the run's record would know nothing of targets that are there.
    control.throwIfCancelled();
    for (const file of files) {
      unlessFailed(file, () => publishOne(publication, file));
      control.finishFile();
    }
    const entries = files.map((file) => file.journalEntry());
    const outcome = outcomeOf(task.pass, entries, publication.readFrom);
    const journal = { outcome, shape: chunkOutcome, body: journalBody(entries) };
    if (settings.syncEach) syncTargets(publication, files);
    const { isFirst, tag } = writeJournal(settings.location, task.chunk, journal, settings.syncEach ? undefined : () => finishSync(settings.location, control));
    discardAttempt(task);
    const own = { ...outcome, failed: failedEntries(entries), journalTag: tag };
    return isFirst ? own : (readReport(settings.location, task.chunk) ?? own);
  } finally {
    targets.close();
  }
}

/**
 * Makes the names of a chunk's targets durable before the journal says that they are there, with those of the directories
 * on the way to them: whichever attempt has made them, it may have died before that.
 */
function syncTargets({ task, targets }: Publication, files: readonly ChunkFile[]): void {
  const { root, destination } = task.settings.location;
  const directories = new Map<string, PathBytes>();
  for (const { target, state, settled } of files) {
    if (state === 'failed' || settled !== undefined) continue;
    let path: PathBytes = joinPath(destination, target);
    do {
      path = splitPath(path).directory;
      if (directories.has(bytewise(path))) break;
      directories.set(bytewise(path), path);
    } while (bytewise(path) !== bytewise(destination));
  }
  for (const path of directories.values()) targets.look(root, path).sync();
}

function verifyOne(publication: Publication, file: ChunkFile): void {
  const { task, control } = publication;
  const { verify } = task.settings;
  if (file.staged === undefined || verify === 'none') return;
  const verifyFrom = publication.verifyFrom.get(file.place) ?? whereToRead(stagedPath(publication, file), verify);
  publication.verifyFrom.set(file.place, verifyFrom);
  const target = pathText(file.target);
  control.startFile(pathText(file.source));
  const found = blaming('destination', target, () => readBackFrom(stagedPath(publication, file), verifyFrom, control, file.sizeBytes));
  if (found.from === 'cache') publication.readFrom = 'cache';
  if (found.sha256 === file.sha256 && found.sizeBytes === file.sizeBytes) return;
  throw new StorageError('ChecksumMismatch', 'destination', target, `Checksum mismatch of the copy for ${target}: expected ${file.sha256}, found ${found.sha256}`);
}

function stagedPath({ task }: Publication, { staged = '', place }: ChunkFile): string {
  return `${attemptDirectory(task, place)}/${staged}`;
}

/** All previous targets are kept, and that is durable, before the first of them is replaced: a crash between would lose it. */
function keepAll(publication: Publication, files: readonly ChunkFile[]): void {
  const { task, control } = publication;
  const { location, syncEach } = task.settings;
  const replacing = files.filter(({ staged, targetExisted }) => staged !== undefined && targetExisted);
  for (const file of replacing) unlessFailed(file, () => keepOne(publication, file));
  const staging = join(attemptDirectory(task), '..');
  if (!replacing.some(({ kept }) => kept !== undefined)) return;
  if (!syncEach) return requireSynced(location, control);
  blaming('destination', location.destination, () => [join(staging, keptDirectory(task.chunk)), staging].forEach(syncDirectory));
}

function keepOne(publication: Publication, file: ChunkFile): void {
  const { task, targets } = publication;
  const { location } = task.settings;
  const { directory: parent, name } = splitPath(joinPath(location.destination, file.target));
  blaming('destination', pathText(file.target), () => {
    file.kept = keep(publication, file, targets.get(location.root, parent).entry(name));
  });
}

function publishOne(publication: Publication, file: ChunkFile): void {
  if (file.staged === undefined) return;
  const { task, targets } = publication;
  const { location } = task.settings;
  const targetPath = joinPath(location.destination, file.target);
  const text = pathText(targetPath);
  blaming('destination', text, () => {
    const { directory, name } = splitPath(targetPath);
    const parent = targets.get(location.root, directory);
    if (file.targetExisted) replace(publication, file, parent.entry(name));
    else file.kept = create(publication, file, parent.entry(name), text);
  });
}

/** Linked, so that nothing is overwritten unseen. */
function create(publication: Publication, file: ChunkFile, target: PathBytes, text: string): string | undefined {
  const staged = stagedPath(publication, file);
  const { task, isScarce: mayLackNames } = publication;
  // Where all is undone, links are what undo knows files by.
  const { keepPrevious: needsLinks } = task.settings;
  if (mayLackNames && !needsLinks && hasFewInodes(attemptDirectory(task, file.place))) return renameNew(staged, target, text);
  try {
    fs.linkSync(staged, target);
    return undefined;
  } catch (error) {
    if (needsLinks ? isLinkRefused(error) : isLinkImpossible(error)) return renameNew(staged, target, text);
    if (!isErrno(error, 'EEXIST')) throw explained(publication, file, error);
    if (isOfOtherAttempt(publication, target, file)) {
      // What lies there is ours already, and undo tells it from what was there before the run.
      const kept = keep(publication, file, target);
      replace(publication, file, target);
      return kept;
    }
    throw new StorageError('DestinationConflict', 'destination', text, `Target ${text} was created meanwhile`, {}, { cause: error });
  }
}

/** An attempt that was taken for lost has published the file meanwhile: it still has its staged link. */
function isOfOtherAttempt({ task }: Publication, target: PathBytes, { staged = '' }: ChunkFile): boolean {
  const found = lstatIfPresent(target);
  return found !== undefined && isStagedBy(attemptsAt(task), staged, found);
}

export function renameNew(staged: string, target: PathBytes, text: string): undefined {
  if (lstatIfPresent(target) !== undefined) throw new StorageError('DestinationConflict', 'destination', text, `Target ${text} was created meanwhile`);
  fs.renameSync(staged, target);
}

function replace(publication: Publication, file: ChunkFile, target: PathBytes): void {
  try {
    fs.renameSync(stagedPath(publication, file), target);
  } catch (error) {
    throw explained(publication, file, error);
  }
}

/** Keeps what lies at the target, if the run is all or nothing, and answers its name. */
function keep(publication: Publication, file: ChunkFile, target: PathBytes): string | undefined {
  const { task, control } = publication;
  if (!task.settings.keepPrevious) return undefined;
  const kept = keptName(task.chunk, task.attemptName, file.staged ?? '');
  try {
    keepPrevious(attemptDirectory(task), kept, target, stagedPath(publication, file), control);
  } catch (error) {
    throw explained(publication, file, error);
  }
  return kept;
}

/** The staging directory was renamed away: the run has ended, and this attempt comes too late. */
function explained({ task }: Publication, { place }: ChunkFile, error: unknown): unknown {
  if (!isErrno(error, 'ENOENT') || lstatIfPresent(attemptDirectory(task, place)) !== undefined) return error;
  requireRun(stagingLocations(task.settings)[place] ?? task.settings.location);
  return new StorageError('StagingRevoked', 'destination', '', 'The staging directory of the run is gone', {}, { cause: error });
}

function unlessFailed(file: ChunkFile, calls: () => void): void {
  try {
    calls();
  } catch (error) {
    if (error instanceof StorageError && (error.code === 'Cancelled' || error.code === 'StagingRevoked')) throw error;
    file.fail(error);
  }
}
