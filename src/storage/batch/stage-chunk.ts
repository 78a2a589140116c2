import type * as fs from 'node:fs';
import { rootOf } from '../../core/roots';
import type { TransferControl } from '../control';
import { copyContent, copyMetadata, syncCopy, type CopyOptions } from '../copy';
import type { OpenDirectory } from '../directory';
import { writing } from '../stage-file';
import { blaming, isErrno, StorageError } from '../errors';
import { isSameInode, lstatIfPresent } from '../file-stat';
import { requireReplaceable } from '../inspect-file';
import { createParents, missingParents } from '../parents';
import { bytewise, joinPath, pathText, splitPath, type PathBytes } from '../path-bytes';
import { withSourceIn, type OpenSource } from '../source';
import { makeAttemptDirectory } from './attempt-directory';
import type { ChunkTask, JournalEntry } from './chunk';
import { ChunkFile } from './chunk-file';
import { noteCreatedDirectories } from './created-directories';
import { isScarce, requireSpace } from './free-space';
import { readEntries } from './journal';
import { OpenDirectories } from './open-directories';
import { requireRun } from './open-run';
import { readChunk, type PlanEntry } from './plan';

/** A chunk between staging and publishing. */
export interface StagedChunk {
  readonly files: readonly ChunkFile[];
}

/** Everything that staging one chunk needs at hand. */
interface Stage {
  readonly task: ChunkTask;
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

/**
 * Copies a chunk's files into the run's staging directory: the first half of the work on a chunk, up to what must be
 * made durable at once. What is wrong with one file is written down and does not stop the others.
 * @throws StorageError `StagingRevoked`, `Cancelled`, errno names of the run's own files
 */
export function stageChunk(task: ChunkTask, control: TransferControl): StagedChunk {
  const { location } = task.settings;
  const { entries, sizeBytes } = readChunk(location, task.chunk);
  const stage: Stage = { task, sources: new OpenDirectories('source'), targets: new OpenDirectories('destination'), directory: makeAttemptDirectory(task), createdDirectories: new Set(), isScarce: isScarce(location.destination, sizeBytes), control };
  try {
    const before = task.pass === 0 ? [] : readEntries(location, task.chunk);
    const files = entries.map((entry, index) => settled(task, entry, before[index], index) ?? stageOne(stage, new ChunkFile(entry), String(index)));
    return { files };
  } finally {
    stage.sources.close();
    stage.targets.close();
  }
}

/** A file that an earlier pass has done with: nothing to publish. */
function settled({ only }: ChunkTask, entry: PlanEntry, before: JournalEntry | undefined, index: number): ChunkFile | undefined {
  if (before === undefined || only.includes(index)) return undefined;
  const file = new ChunkFile(entry);
  file.settled = before;
  return file;
}

function stageOne(stage: Stage, file: ChunkFile, name: string): ChunkFile {
  stage.control.startFile(pathText(file.source));
  try {
    copyOne(stage, file, name);
  } catch (error) {
    if (error instanceof StorageError && error.code === 'Cancelled') throw error;
    file.fail(error);
  }
  return file;
}

function copyOne(stage: Stage, file: ChunkFile, name: string): void {
  const { settings } = stage.task;
  const targetPath = joinPath(settings.location.destination, file.target);
  const text = pathText(file.source);
  const { directory, name: sourceName } = splitPath(file.source);
  const parent = stage.sources.get(sourceRootOf(settings.sourceRoots, directory, file.source), directory);
  withSourceIn(parent, sourceName, text, (source) => {
    // After the source: what cannot be read leaves no empty directory behind.
    const targetStats = inspectTarget(stage, targetPath);
    if (targetStats !== undefined && isSameInode(source.stats, targetStats)) {
      throw new StorageError('SameFile', 'destination', text, `Source ${text} and target ${pathText(targetPath)} are the same file`);
    }
    const { mtimeNs, ctimeNs, ino } = source.stats;
    file.sourceState = { mtimeNs, ctimeNs, ino };
    file.targetExisted = targetStats !== undefined;
    if (isKnown(file.entry, source, targetStats)) takeKnown(file);
    else writeStaged(stage, source, file, name, text, pathText(targetPath));
  });
}

/** Of the directory, since a root is one: a file of a root's own name is below another. */
function sourceRootOf(roots: readonly string[], directory: PathBytes, source: PathBytes): string {
  const root = typeof directory === 'string' ? rootOf(roots, directory) : roots.find((each) => rootOf([bytewise(each)], bytewise(directory)) !== undefined);
  if (root !== undefined) return root;
  throw new StorageError('SourceNotAllowed', 'source', pathText(source), `The worker may not read ${pathText(source)}: --source-root allows ${roots.join(', ') || 'nothing'}`);
}

/** Makes missing parents, and answers what lies at the target. */
function inspectTarget(stage: Stage, targetPath: PathBytes): fs.BigIntStats | undefined {
  const { directory, name } = splitPath(targetPath);
  const parent = openOrCreate(stage, directory);
  // It was missing a moment ago; should somebody have been quicker, the link to the target says so.
  if (stage.createdDirectories.size > 0 && stage.createdDirectories.has(bytewise(directory))) return undefined;
  const text = pathText(targetPath);
  return blaming('destination', text, () => {
    const stats = lstatIfPresent(parent.entry(name));
    if (stats !== undefined) requireReplaceable(stats, text);
    return stats;
  });
}

function openOrCreate({ task, targets, createdDirectories }: Stage, directory: PathBytes): OpenDirectory {
  const { location, keepPrevious, syncEach } = task.settings;
  const { root, destination } = location;
  try {
    return targets.get(root, directory);
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || directory === destination) throw error;
    // Missing because the whole disk is away? Nothing is created below its mount point.
    requireRun(location);
    const missing = missingParents(destination, joinPath(directory, '-'));
    if (keepPrevious) noteCreatedDirectories(location, missing);
    // Otherwise they become durable with the staged files, all at once.
    createParents(root, missing, { sync: syncEach });
    missing.forEach((path) => createdDirectories.add(bytewise(path)));
    return targets.get(root, directory);
  }
}

/** The source is as the last run copied it, and the target is as it published it: nothing to do. */
function isKnown({ known }: PlanEntry, { stats }: OpenSource, target: fs.BigIntStats | undefined): boolean {
  return (
    known !== undefined &&
    target !== undefined &&
    known.sizeBytes === Number(stats.size) &&
    known.mtimeNs === String(stats.mtimeNs) &&
    known.ctimeNs === String(stats.ctimeNs) &&
    known.inode === String(stats.ino) &&
    String(target.ino) === known.targetInode &&
    target.size === stats.size &&
    String(target.mtimeNs) === known.targetMtimeNs
  );
}

function takeKnown(file: ChunkFile): void {
  const { known } = file.entry;
  file.state = 'unchanged';
  file.sizeBytes = known?.sizeBytes ?? 0;
  file.sha256 = known?.sha256;
  file.targetInode = known?.targetInode;
  file.targetMtimeNs = known?.targetMtimeNs;
}

function writeStaged({ task, directory, isScarce: mayBeFull, control }: Stage, source: OpenSource, file: ChunkFile, name: string, sourcePath: string, targetPath: string): void {
  if (mayBeFull) requireSpace(task.settings.location.destination, targetPath, Number(source.stats.size));
  const { onSourceChanged, syncEach } = task.settings;
  const options: CopyOptions = { sourcePath, targetPath, onSourceChanged, control, sync: syncEach };
  writing(`${directory}/${name}`, targetPath, (descriptor) => {
    const { sha256, sizeBytes, changed } = copyContent(descriptor, source, options);
    const { stats } = blaming('destination', targetPath, () => copyMetadata(descriptor, source.stats));
    if (syncEach) syncCopy(descriptor, options);
    // Neither link nor rename changes them.
    file.targetInode = String(stats.ino);
    file.targetMtimeNs = String(stats.mtimeNs);
    file.sha256 = sha256;
    file.sizeBytes = sizeBytes;
    file.changed = changed;
  });
  file.state = 'backedUp';
  file.staged = name;
}
