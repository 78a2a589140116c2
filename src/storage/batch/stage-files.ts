import type { TransferControl } from '../control';
import type { OpenDirectory } from '../directory';
import { isErrno, StorageError } from '../errors';
import { createParents, missingParents } from '../parents';
import { bytewise, joinPath, pathText, splitPath, type PathBytes } from '../path-bytes';
import { makeAttemptDirectory, stagingLocations } from './attempt-directory';
import type { ChunkTask, JournalEntry, PlannedFile, RunSettings } from './chunk';
import { ChunkFile } from './chunk-file';
import { noteCreatedDirectories } from './created-directories';
import { isScarce, requireSpace } from './free-space';
import { parseLines, readLines, requireJournal } from './journal';
import { OpenDirectories } from './open-directories';
import { requireRun } from './open-run';
import { runHolder } from './run-directory';

/** A chunk between staging and publishing. */
export interface StagedChunk {
  readonly files: readonly ChunkFile[];
}

/** Everything that staging one chunk needs at hand. */
export interface Stage<Settings extends RunSettings> {
  readonly task: ChunkTask<Settings>;
  readonly sources: OpenDirectories;
  readonly targets: OpenDirectories;
  /** Where this attempt stages. */
  readonly directory: string;
  /** Directories that this attempt has made, byte by byte. */
  readonly createdDirectories: Set<string>;
  /** The chunk may not fit: each file is looked at before it is copied. */
  readonly isScarce: boolean;
  readonly control: TransferControl;
}

/** Stages one file under a name in the attempt's directory, or throws what is wrong with it. */
export type StageFile<Settings extends RunSettings, Entry extends PlannedFile> = (stage: Stage<Settings>, file: ChunkFile<Entry>, name: string) => void;

/**
 * Goes through the files of a chunk: those that an earlier pass has done with stay as the journal has them, the others are
 * staged. What is wrong with one file is written down and does not stop the others.
 * @throws StorageError `StagingRevoked`, `Cancelled`, errno names of the run's own files
 */
export function stageFiles<Settings extends RunSettings, Entry extends PlannedFile>(
  task: ChunkTask<Settings>,
  { entries, sizeBytes }: { readonly entries: readonly Entry[]; readonly sizeBytes: number },
  stageFile: StageFile<Settings, Entry>,
  control: TransferControl,
): StagedChunk {
  const stage: Stage<Settings> = { task, sources: new OpenDirectories('source'), targets: new OpenDirectories('destination'), directory: makeAttemptDirectory(task), createdDirectories: new Set(), isScarce: stagingLocations(task.settings).some((each) => isScarce(runHolder(each), sizeBytes)), control };
  try {
    const before = task.pass === 0 ? [] : entriesBefore(task);
    const files = entries.map((entry, index) => settled(task, entry, before[index], index) ?? stageOne(stage, new ChunkFile(entry), String(index), stageFile));
    return { files };
  } finally {
    stage.sources.close();
    stage.targets.close();
  }
}

/** What an earlier pass has made of the files. */
function entriesBefore(task: ChunkTask<RunSettings>): JournalEntry[] {
  const found = readLines(task.settings.location, task.chunk);
  requireJournal(task, found);
  return found === undefined ? [] : parseLines(found);
}

/** A file that an earlier pass has done with: nothing to publish. */
function settled({ only }: ChunkTask<RunSettings>, entry: PlannedFile, before: JournalEntry | undefined, index: number): ChunkFile | undefined {
  if (before === undefined || only.includes(index)) return undefined;
  const file = new ChunkFile(entry);
  file.settled = before;
  return file;
}

function stageOne<Settings extends RunSettings, Entry extends PlannedFile>(stage: Stage<Settings>, file: ChunkFile<Entry>, name: string, stageFile: StageFile<Settings, Entry>): ChunkFile {
  stage.control.startFile(pathText(file.source));
  try {
    stageFile(stage, file, name);
  } catch (error) {
    if (error instanceof StorageError && error.code === 'Cancelled') throw error;
    file.fail(error);
  }
  return file;
}

/**
 * Opens the directory of a target, with those that are missing on the way to it made.
 * @param modeAbove mode for the one that is so many levels above the target's directory; for the owner alone when left out
 */
export function openOrCreate<Settings extends RunSettings>({ task, targets, createdDirectories, isScarce: mayBeFull }: Stage<Settings>, directory: PathBytes, modeAbove?: (levels: number) => number): OpenDirectory {
  const { location, keepPrevious, syncEach } = task.settings;
  const { root, destination } = location;
  try {
    return targets.get(root, directory);
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || directory === destination) throw error;
    // Missing because the whole disk is away? Nothing is created below its mount point.
    requireRun(location);
    const missing = missingParents(destination, joinPath(directory, '-'));
    const [first = destination] = missing;
    if (mayBeFull) requireSpace(splitPath(first).directory, pathText(directory), 0, missing.length + 1);
    if (keepPrevious) noteCreatedDirectories(location, missing, syncEach);
    // Otherwise they become durable with the staged files, all at once.
    createParents(root, missing, { sync: syncEach, modeOf: modeAbove && ((index) => modeAbove(missing.length - 1 - index)) });
    missing.forEach((path) => createdDirectories.add(bytewise(path)));
    return targets.get(root, directory);
  }
}
