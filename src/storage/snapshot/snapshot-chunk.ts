import * as fs from 'node:fs';
import { attemptDirectory, discardAttempt, makeAttemptDirectory } from '../batch/attempt-directory';
import { giveUpIfIll } from '../batch/backup-chunk';
import type { ChunkTask } from '../batch/chunk';
import { isScarce } from '../batch/free-space';
import { journalPath, nothingLeftToDo, requireJournal, syncJournals, type ChunkReport } from '../batch/journal';
import { OpenDirectories } from '../batch/open-directories';
import { requireOwner } from '../batch/open-run';
import { readPlanned } from '../batch/plan-digests';
import { runDirectory, runEntries, type RunLocation } from '../batch/run-directory';
import { inTask } from '../batch/run-mark';
import { journalBody, writeJournal } from '../batch/write-journal';
import type { TransferControl } from '../control';
import { syncDirectories } from '../directory';
import { blaming, isErrno, StorageError } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { fromJsonPath, pathText, splitPath, type PathBytes } from '../path-bytes';
import { readBackFrom, whereToRead, type ReadFrom } from '../read-back';
import { namesIn } from '../entries';
import { removeFlat } from '../remove-tree';
import { noteWorker } from '../worker-note';
import { noDamagedCopies } from './damaged-copies';
import { requireIncoming, unlessPublished } from './finished-run';
import { dataDirectory, dataPath } from './incoming-data';
import { plannedSnapshot, type PlannedSnapshot } from './planned-snapshot';
import { SnapshotFile } from './snapshot-file';
import { checksumsOf, journalEntries, readSnapshotJournal, snapshotOutcome, snapshotReport, type SnapshotJournal, type SnapshotJournalEntry, type SnapshotOutcome } from './snapshot-journal';
import { readPlannedFiles } from './snapshot-plan';
import { stageFileOfSnapshot, type SnapshotStage } from './stage-file-of-snapshot';
import { syncFiles } from './sync-snapshot';

/**
 * Takes one chunk of files into a snapshot that is being made: links what is unchanged, copies the rest aside, makes it
 * durable at once, reads it back, and writes the journal. Only what the journal names gets into its place, so that of two
 * attempts at once one alone counts; what is missing there after a crash is put there by whoever comes next. In a run that
 * has published its snapshot already nothing is left to do.
 * @throws StorageError `NotOwnRun`, `StagingRevoked`, `RunAltered`, `Cancelled`, what made the destination ill, errno names of the run's own files
 */
export function snapshotChunk(task: ChunkTask, control: TransferControl): ChunkReport {
  return unlessPublished(task.settings.location, () => inTask(task, (opened) => takeIn(opened, control)), () => nothingLeftToDo(task));
}

function takeIn(task: ChunkTask, control: TransferControl): ChunkReport {
  const { location, syncEach } = task.settings;
  requireOwner(location, task.owner);
  requireIncoming(location);
  noteWorker(runDirectory(location), location.runId);
  const before = readSnapshotJournal(location, task.chunk);
  requireJournal(task, before);
  if (before !== undefined) {
    syncJournals(location);
    putInPlace(location, before, syncEach);
    if (before.outcome.pass >= task.pass) return snapshotReport(before);
  }
  const files = readPlannedFiles(location, task.chunk).map((planned) => new SnapshotFile(planned));
  const { notKept, damaged } = stageAll(task, files, before, control);
  giveUpIfIll(task, files);
  syncFiles(task, files, control);
  const verifiedFrom = verifyAll(task, files, control);
  const own = journalOf(task, files, { verifiedFrom, notKept: [...notKept], damaged });
  const { isFirst, tag } = writeJournal(location, task.chunk, { outcome: own.outcome, shape: snapshotOutcome, body: Buffer.concat([own.lines, own.checksums]) });
  const journal = isFirst ? { ...own, tag } : readSnapshotJournal(location, task.chunk);
  if (!isFirst) discardAttempt(task);
  if (journal === undefined) throw new StorageError('StagingRevoked', 'destination', location.destination, `The journal of the run in ${location.destination} is gone`);
  putInPlace(location, journal, syncEach);
  return snapshotReport(journal);
}

function stageAll(task: ChunkTask, files: readonly SnapshotFile[], before: SnapshotJournal | undefined, control: TransferControl): Pick<SnapshotStage, 'notKept' | 'damaged'> {
  const stage = openStage(task, readPlanned(task.settings.location, plannedSnapshot), before?.outcome, control);
  const settled = before && journalEntries(before);
  try {
    for (const [index, file] of files.entries()) {
      file.settled = task.only.includes(index) ? undefined : settled?.[index];
      if (file.settled === undefined) stageFileOfSnapshot(stage, file, String(index));
      control.finishFile();
    }
    return stage;
  } finally {
    closeStage(stage);
  }
}

/**
 * Makes ready what staging files needs.
 * @param before what an earlier pass has found, to be added to
 * @throws StorageError `StagingRevoked` when the run has ended
 */
export function openStage(task: ChunkTask, planned: PlannedSnapshot | undefined, before: Pick<SnapshotOutcome, 'notKept' | 'damaged'> | undefined, control: TransferControl): SnapshotStage {
  const { location } = task.settings;
  return {
    task,
    data: dataDirectory(location),
    parents: planned === undefined ? [] : parentsOf(planned),
    sources: new OpenDirectories('source'),
    parentDirectories: new OpenDirectories('source'),
    directory: makeAttemptDirectory(task),
    isScarce: isScarce(location.destination, 0),
    control,
    canClone: true,
    notKept: new Set(before?.notKept),
    damaged: before?.damaged ?? noDamagedCopies,
    walked: planned?.walked ?? [],
  };
}

export function closeStage({ sources, parentDirectories }: SnapshotStage): void {
  [sources, parentDirectories].forEach((directories) => directories.close());
}

/** Plans of earlier programs know one parent. */
function parentsOf({ parent, parents = parent === null ? [] : [parent] }: PlannedSnapshot): readonly string[] {
  return parents;
}

/** Reads every new copy back; answers where from, `cache` as soon as one was. */
export function verifyAll(task: ChunkTask, files: readonly SnapshotFile[], control: TransferControl): ReadFrom | null {
  const directory = attemptDirectory(task);
  const { verify } = task.settings;
  if (verify === 'none') return null;
  const where = whereToRead(directory, verify);
  let readFrom = where;
  for (const file of files) {
    const { staged, entry, isClone } = file;
    if (staged === undefined || entry === undefined || isClone) continue;
    const text = pathText(file.path);
    control.startFile(text);
    const found = blaming('destination', text, () => readBackFrom(`${directory}/${staged}`, where, control, entry.sizeBytes));
    if (found.from === 'cache') readFrom = 'cache';
    if (found.sha256 === entry.sha256 && found.sizeBytes === entry.sizeBytes) continue;
    file.fail(new StorageError('ChecksumMismatch', 'destination', text, `Checksum mismatch of the copy of ${text}: expected ${entry.sha256}, found ${found.sha256}`));
  }
  return readFrom;
}

function journalOf(task: ChunkTask, files: readonly SnapshotFile[], found: Pick<SnapshotOutcome, 'verifiedFrom' | 'notKept' | 'damaged'>): SnapshotJournal {
  const { location } = task.settings;
  const entries = files.map((file) => file.journalEntry());
  const lines = journalBody(entries);
  return { outcome: { ...outcomeOf(task, files, entries), ...found, attemptName: task.attemptName, entriesBytes: lines.length }, lines, checksums: checksumsOf(entries), tag: undefined, path: journalPath(location, task.chunk) };
}

function outcomeOf(task: ChunkTask, files: readonly SnapshotFile[], entries: readonly SnapshotJournalEntry[]): Omit<SnapshotOutcome, 'verifiedFrom' | 'notKept' | 'damaged' | 'attemptName' | 'entriesBytes'> {
  const counts = { backedUp: 0, unchanged: 0, failed: 0 };
  const sums = { sizeBytes: 0, unchangedBytes: 0, changed: 0, newFiles: 0, vanished: 0 };
  for (const [index, entry] of entries.entries()) {
    if (entry.state === 'vanished') sums.vanished += 1;
    else counts[entry.state === 'copied' ? 'backedUp' : entry.state] += 1;
    if (entry.state === 'unchanged') sums.unchangedBytes += entry.sizeBytes;
    if (entry.state !== 'copied') continue;
    // A clone takes no space, as a link does not.
    sums[files[index]?.isClone === true ? 'unchangedBytes' : 'sizeBytes'] += entry.sizeBytes;
    if (entry.changed === true) sums.changed += 1;
    if (files[index]?.planned.known === undefined) sums.newFiles += 1;
  }
  return { pass: task.pass, counts, ...sums };
}

/**
 * Moves the copies that a journal names to their places in the snapshot. Repeated, it finds its work done.
 * @param syncEach make the places durable before what they were moved from is removed, where the file system may not keep that order
 */
export function putInPlace(location: RunLocation, journal: SnapshotJournal, syncEach: boolean): void {
  const staging = `${runDirectory(location)}/${runEntries.staging}`;
  const attempt = `${staging}/${journal.outcome.attemptName}`;
  // Removed when all of it is in its place, for good.
  if (lstatIfPresent(attempt) === undefined) return;
  const data = dataDirectory(location);
  const names = new Set(namesIn(attempt));
  // A file that failed when it was read back has not become an entry.
  const entries = names.size > 0 || syncEach ? journalEntries(journal) : [];
  const copies = entries.flatMap(({ path, state }, index) => (state === 'copied' ? [{ name: String(index), target: dataPath(data, fromJsonPath(path)) }] : []));
  for (const { name, target } of copies) if (names.has(name)) moveOne(`${attempt}/${name}`, target);
  // Also what an attempt has moved that died then.
  if (syncEach) syncDirectories(copies.map(({ target }) => splitPath(target).directory));
  removeFlat(staging, journal.outcome.attemptName);
}

/** Moves a staged copy to its place. What goes wrong is said of that, not of the source. */
export function moveOne(staged: string, target: PathBytes): void {
  blaming('destination', pathText(target), () => {
    try {
      fs.renameSync(staged, target);
    } catch (error) {
      // Another attempt has moved it meanwhile.
      if (!isErrno(error, 'ENOENT') || lstatIfPresent(target) === undefined) throw error;
    }
  });
}
