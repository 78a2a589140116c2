import * as fs from 'node:fs';
import type { TransferControl } from '../control';
import { blaming, isErrno, StorageError } from '../errors';
import { isSameInode, lstatIfPresent } from '../file-stat';
import { fromJsonPath, joinPath, pathText, splitPath, type PathBytes } from '../path-bytes';
import { readBackFrom, whereToRead, type ReadFrom } from '../read-back';
import type { ChunkTask, JournalEntry, StagedChunk, StagedEntry } from './chunk';
import { failedEntries, readReport, writeJournal, type ChunkReport } from './journal';
import { keepPrevious, keptName } from './kept-files';
import { outcomeOf } from './outcome';
import { OpenDirectories } from './open-directories';
import { attemptDirectory, failureOf } from './stage-chunk';
import type { OpenDirectory } from '../directory';
import { namesIn, removeStaging } from '../staging';
import { requireRun } from './open-run';
import { runDirectory, runEntries } from './run-directory';

interface Publication {
  readonly task: ChunkTask;
  readonly directory: string;
  readonly targets: OpenDirectories;
  /** Directories whose names have to be made durable. */
  readonly touched: Set<OpenDirectory>;
  readonly verifyFrom: ReadFrom | null;
  readonly control: TransferControl;
}

/**
 * The second half of the work on a chunk, after its staged files were made durable: reads them back, gives them their
 * names, makes the names durable, and writes the journal. Repeated, it finds the journal and does nothing.
 * @throws StorageError `StagingRevoked`, `Cancelled`, errno names of the run's own files
 */
export function publishChunk(task: ChunkTask, staged: StagedChunk, control: TransferControl): ChunkReport {
  const { settings } = task;
  const directory = attemptDirectory(task);
  const done = readReport(settings.location, task.chunk);
  // Another attempt was faster: this one was taken for lost, or that one was.
  if (done !== undefined && done.pass >= task.pass) return done;
  const verifyFrom = settings.verify === 'none' ? null : whereToRead(directory, settings.verify);
  const targets = new OpenDirectories('destination');
  const publication: Publication = { task, directory, targets, touched: new Set(), verifyFrom, control };
  try {
    const verified = staged.entries.map((entry) => verifyOne(publication, entry));
    const entries = verified.map((entry) => {
      const published = publishOne(publication, entry);
      control.finishFile();
      return published;
    });
    for (const parent of publication.touched) parent.sync();
    const outcome = outcomeOf(task.pass, entries, verifyFrom, staged.createdDirectories);
    const isFirst = writeJournal(settings.location, task.chunk, outcome, entries);
    removeStaging(directory);
    if (!isFirst) return readReport(settings.location, task.chunk) ?? { ...outcome, failed: [] };
    return { ...outcome, failed: failedEntries(entries) };
  } finally {
    targets.close();
  }
}

function verifyOne({ directory, verifyFrom, control }: Publication, entry: StagedEntry): StagedEntry {
  if (entry.staged === undefined || verifyFrom === null) return entry;
  const target = pathText(fromJsonPath(entry.target));
  return unlessFailed(entry, () => {
    control.startFile(target);
    const found = blaming('destination', target, () => readBackFrom(`${directory}/${entry.staged}`, verifyFrom, control));
    if (found.sha256 === entry.sha256 && found.sizeBytes === entry.sizeBytes) return entry;
    throw new StorageError('ChecksumMismatch', 'destination', target, `Checksum mismatch of the copy for ${target}: expected ${entry.sha256}, found ${found.sha256}`);
  });
}

function publishOne(publication: Publication, entry: StagedEntry): JournalEntry {
  const { staged, targetExisted, ...journal } = entry;
  if (staged === undefined) return journal;
  const { task, control } = publication;
  control.throwIfCancelled();
  return unlessFailed<JournalEntry>(journal, () => {
    const targetPath = joinPath(task.settings.location.destination, fromJsonPath(entry.target));
    const text = pathText(targetPath);
    return blaming('destination', text, () => {
      const { directory, name } = splitPath(targetPath);
      const parent = publication.targets.get(task.settings.location.root, directory);
      const target = parent.entry(name);
      const path = `${publication.directory}/${staged}`;
      const kept = targetExisted ? replace(publication, path, target, staged) : create(publication, path, target, staged, text);
      publication.touched.add(parent);
      const stats = fs.lstatSync(target, { bigint: true });
      return { ...journal, targetInode: String(stats.ino), targetMtimeNs: String(stats.mtimeNs), ...(kept === undefined ? {} : { kept }) };
    });
  });
}

/** Linked, so that nothing is overwritten unseen. */
function create(publication: Publication, staged: string, target: PathBytes, name: string, text: string): string | undefined {
  try {
    fs.linkSync(staged, target);
  } catch (error) {
    if (isErrno(error, 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK')) return renameNew(staged, target, text);
    if (!isErrno(error, 'EEXIST')) throw explained(publication, error);
    if (isOfOtherAttempt(publication, target, name)) return replace(publication, staged, target, name);
    throw new StorageError('DestinationConflict', 'destination', text, `Target ${text} was created meanwhile`, {}, { cause: error });
  }
  return undefined;
}

/** An attempt that was taken for lost has published the file meanwhile: it still has its staged link. */
function isOfOtherAttempt({ task }: Publication, target: PathBytes, name: string): boolean {
  const staging = `${runDirectory(task.settings.location)}/${runEntries.staging}`;
  const found = lstatIfPresent(target);
  const attempts = namesIn(staging).filter((attempt) => attempt.startsWith(`${task.chunk}-`));
  return found !== undefined && attempts.some((attempt) => isSame(found, lstatIfPresent(`${staging}/${attempt}/${name}`)));
}

function isSame(found: fs.BigIntStats, staged: fs.BigIntStats | undefined): boolean {
  return staged !== undefined && isSameInode(found, staged);
}

function renameNew(staged: string, target: PathBytes, text: string): undefined {
  if (lstatIfPresent(target) !== undefined) throw new StorageError('DestinationConflict', 'destination', text, `Target ${text} was created meanwhile`);
  fs.renameSync(staged, target);
  return undefined;
}

function replace(publication: Publication, staged: string, target: PathBytes, name: string): string | undefined {
  const { task, directory } = publication;
  const kept = task.settings.keepPrevious ? keptName(task.chunk, task.attemptName, name) : undefined;
  try {
    if (kept !== undefined) keepPrevious(`${directory}/..`, kept, target, staged);
    fs.renameSync(staged, target);
  } catch (error) {
    throw explained(publication, error);
  }
  return kept;
}

/** The staging directory was renamed away: the run has ended, and this attempt comes too late. */
function explained({ task, directory }: Publication, error: unknown): unknown {
  if (!isErrno(error, 'ENOENT') || lstatIfPresent(directory) !== undefined) return error;
  requireRun(task.settings.location);
  return new StorageError('StagingRevoked', 'destination', '', 'The staging directory of the run is gone', {}, { cause: error });
}

function unlessFailed<Entry extends JournalEntry>(entry: Entry, calls: () => Entry): Entry {
  try {
    return calls();
  } catch (error) {
    if (error instanceof StorageError && (error.code === 'Cancelled' || error.code === 'StagingRevoked')) throw error;
    return { ...entry, staged: undefined, state: 'failed', failure: failureOf(error) };
  }
}
