import * as fs from 'node:fs';
import { rootOf } from '../../core/roots';
import type { TransferControl } from '../control';
import { copyInto } from '../copy';
import { writing } from '../stage-file';
import { blaming, errnoName, isErrno, StorageError } from '../errors';
import { isSameInode, lstatIfPresent } from '../file-stat';
import { requireReplaceable } from '../inspect-file';
import { createParents, missingParents } from '../parents';
import { bytewise, joinPath, pathText, splitPath, toJsonPath, type PathBytes } from '../path-bytes';
import { removeStaging } from '../staging';
import { withSourceIn, type OpenSource } from '../source';
import type { ChunkTask, EntryFailure, JournalEntry, StagedChunk, StagedEntry } from './chunk';
import { noteCreatedDirectories } from './created-directories';
import { isScarce, requireSpace } from './free-space';
import { readEntries } from './journal';
import { OpenDirectories } from './open-directories';
import { requireRun } from './open-run';
import { readChunk, type PlanEntry } from './plan';
import { runDirectory, runEntries } from './run-directory';

/** Everything that staging one chunk needs at hand. */
interface Stage {
  readonly task: ChunkTask;
  readonly sources: OpenDirectories;
  readonly targets: OpenDirectories;
  /** Where this attempt stages. */
  readonly directory: string;
  readonly createdDirectories: string[];
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
  const run = runDirectory(location);
  const { entries, sizeBytes } = readChunk(`${run}/${runEntries.plan}`, `${run}/${runEntries.index}`, task.chunk);
  const stage: Stage = { task, sources: new OpenDirectories('source'), targets: new OpenDirectories('destination'), directory: makeAttemptDirectory(task), createdDirectories: [], isScarce: isScarce(location.destination, sizeBytes), control };
  try {
    const before = task.pass === 0 ? [] : readEntries(location, task.chunk);
    const staged = entries.map((entry, index) => settled(task, before[index], index) ?? stageOne(stage, entry, String(index)));
    return { entries: staged, createdDirectories: stage.createdDirectories };
  } finally {
    stage.sources.close();
    stage.targets.close();
  }
}

/** A file that an earlier pass has done with: nothing to publish. */
function settled({ only }: ChunkTask, before: JournalEntry | undefined, index: number): StagedEntry | undefined {
  return before === undefined || only.includes(index) ? undefined : { ...before, targetExisted: true };
}

/** The staging directory of an attempt, below the run's, which no attempt creates: it is the fence. */
export function attemptDirectory({ settings, attemptName }: ChunkTask): string {
  return `${runDirectory(settings.location)}/${runEntries.staging}/${attemptName}`;
}

/** Removes what an attempt staged that gave its chunk up. */
export function discardAttempt(task: ChunkTask): void {
  removeStaging(attemptDirectory(task));
}

function makeAttemptDirectory(task: ChunkTask): string {
  const path = attemptDirectory(task);
  const { destination } = task.settings.location;
  blaming('destination', destination, () => {
    try {
      fs.mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      requireRun(task.settings.location);
      throw new StorageError('StagingRevoked', 'destination', destination, `The staging directory of the run in ${destination} is gone`, {}, { cause: error });
    }
  });
  return path;
}

function stageOne(stage: Stage, entry: PlanEntry, name: string): StagedEntry {
  const { source, target } = entry;
  stage.control.startFile(pathText(source));
  const base = { source: toJsonPath(source), target: toJsonPath(target), sizeBytes: 0, targetExisted: false };
  try {
    return { ...base, ...copyOne(stage, entry, name) };
  } catch (error) {
    if (error instanceof StorageError && error.code === 'Cancelled') throw error;
    return { ...base, state: 'failed', failure: failureOf(error) };
  }
}

function copyOne(stage: Stage, entry: PlanEntry, name: string): Omit<StagedEntry, 'source' | 'target'> {
  const { settings } = stage.task;
  const targetPath = joinPath(settings.location.destination, entry.target);
  const targetStats = inspectTarget(stage, targetPath);
  const text = pathText(entry.source);
  const { directory, name: sourceName } = splitPath(entry.source);
  const parent = stage.sources.get(sourceRootOf(settings.sourceRoots, directory, entry.source), directory);
  return withSourceIn(parent, sourceName, text, (source) => {
    if (targetStats !== undefined && isSameInode(fs.fstatSync(source.descriptor, { bigint: true }), targetStats)) {
      throw new StorageError('SameFile', 'destination', text, `Source ${text} and target ${pathText(targetPath)} are the same file`);
    }
    const { sizeBytes, mtimeNs, ctimeNs, inode } = source.stat;
    const facts = { mtimeNs, ctimeNs, inode };
    if (isKnown(entry, source, targetStats)) return { ...facts, state: 'unchanged', sizeBytes, sha256: entry.known?.sha256, targetInode: entry.known?.targetInode, targetMtimeNs: entry.known?.targetMtimeNs, targetExisted: true };
    const copied = writeStaged(stage, source, name, text, pathText(targetPath));
    return { ...facts, state: 'backedUp', sizeBytes: copied.sizeBytes, sha256: copied.sha256, changed: copied.changed, staged: name, targetExisted: targetStats !== undefined };
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
  const text = pathText(targetPath);
  return blaming('destination', text, () => {
    const stats = lstatIfPresent(parent.entry(name));
    if (stats !== undefined) requireReplaceable(stats, text);
    return stats;
  });
}

function openOrCreate({ task, targets, createdDirectories }: Stage, directory: PathBytes): ReturnType<OpenDirectories['get']> {
  const { location, keepPrevious } = task.settings;
  const { root, destination } = location;
  try {
    return targets.get(root, directory);
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || directory === destination || typeof directory !== 'string') throw error;
    // Missing because the whole disk is away? Nothing is created below its mount point.
    requireRun(location);
    const missing = missingParents(destination, `${directory}/-`);
    if (keepPrevious) noteCreatedDirectories(location, missing);
    createParents(root, missing);
    createdDirectories.push(...missing);
    return targets.get(root, directory);
  }
}

/** The source is as the last run copied it, and the target is as it published it: nothing to do. */
function isKnown({ known }: PlanEntry, { stat }: OpenSource, target: fs.BigIntStats | undefined): boolean {
  return (
    known !== undefined &&
    target !== undefined &&
    known.sizeBytes === stat.sizeBytes &&
    known.mtimeNs === stat.mtimeNs &&
    known.ctimeNs === stat.ctimeNs &&
    known.inode === stat.inode &&
    String(target.ino) === known.targetInode &&
    Number(target.size) === stat.sizeBytes &&
    String(target.mtimeNs) === known.targetMtimeNs
  );
}

function writeStaged({ task, directory, isScarce: mayBeFull, control }: Stage, source: OpenSource, name: string, sourcePath: string, targetPath: string) {
  if (mayBeFull) requireSpace(task.settings.location.destination, targetPath, source.stat.sizeBytes);
  const path = `${directory}/${name}`;
  const { onSourceChanged, syncEach } = task.settings;
  return writing(path, targetPath, (descriptor) => copyInto(descriptor, source, { sourcePath, targetPath, onSourceChanged, control, sync: syncEach }));
}

/** What went wrong with one file, as the journal keeps it. */
export function failureOf(error: unknown): EntryFailure {
  if (error instanceof StorageError) return { code: error.code, side: error.side, message: error.message };
  return { code: errnoName(error) ?? 'UnexpectedError', side: 'destination', message: error instanceof Error ? error.message : String(error) };
}
