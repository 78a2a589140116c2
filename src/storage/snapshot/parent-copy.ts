import * as fs from 'node:fs';
import type { OpenDirectories } from '../batch/open-directories';
import type { ChunkTask } from '../batch/chunk';
import type { TransferControl } from '../control';
import { unlinkIfPresent } from '../entries';
import { errnoName, isErrno } from '../errors';
import { isSameInode, lstatIfPresent } from '../file-stat';
import { fromJsonPath, pathText, splitPath, type PathBytes } from '../path-bytes';
import { readBack } from '../read-back';
import { hasDescriptorPaths } from '../way';
import { addDamaged, type DamagedCopies } from './damaged-copies';
import { PERMISSION_BITS, type FileEntry } from './entry';
import { dataPath } from './incoming-data';
import type { KnownFile } from './parent';
import { snapshotEntries } from './snapshot-record';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, COPYFILE_EXCL, COPYFILE_FICLONE_FORCE } = fs.constants;

/** What it takes to use copies of the parent. */
export interface ParentStage {
  readonly task: ChunkTask;
  /** Directory of this snapshot's copies. */
  readonly data: string;
  /** Snapshots that files are known from. */
  readonly parents: readonly string[];
  readonly parentDirectories: OpenDirectories;
  readonly control: TransferControl;
  /** Until the file system has refused it. */
  canClone: boolean;
  /** Copies of the parents that are not as it says. */
  damaged: DamagedCopies;
}

/**
 * Gives the copy of a file in a snapshot before a further name in this one. False when it is not what that snapshot says,
 * which is noted, or cannot be linked: then the source is copied.
 * @param isRead read the copy back first: its bytes count, and not only its attributes
 * @throws StorageError `Cancelled`
 */
export function linkParentsCopy(stage: ParentStage, path: PathBytes, known: KnownFile, isRead: boolean): boolean {
  return withCopyOf(stage, known, (copy, stats) => {
    if (isRead && !isIntact(stage, copy, known.entry)) return noteDamage(stage, known);
    // By a path through the run's directory, which is the fence: once it is published or given up, this leads nowhere.
    return link(copy, stats, dataPath(stage.data, path));
  });
}

/**
 * Makes a file that shares its blocks with the copy of a file in a snapshot before, and is read back. False when that
 * copy is not what the snapshot says, which is noted, when the file system shares no blocks, or when it is not wanted.
 * @param isWanted asked once it is known that the file system can do it
 * @param finish completes the open file
 * @throws StorageError `Cancelled`, and what the calls throw
 */
export function cloneParentsCopy(stage: ParentStage, known: KnownFile, target: string, isWanted: () => boolean, finish: (clone: number) => void): boolean {
  if (!stage.canClone || !withCopyOf(stage, known, (copy) => clone(stage, copy, target))) return false;
  let isComplete = false;
  try {
    if (!isWanted()) return false;
    if (!isIntact(stage, target, known.entry)) return noteDamage(stage, known);
    withOpen(target, finish);
    isComplete = true;
    return true;
  } finally {
    if (!isComplete) unlinkIfPresent(target);
  }
}

/** Hands the copy over if it is there as its snapshot says. Whatever is wrong with it: the source is there. */
function withCopyOf(stage: ParentStage, known: KnownFile, calls: (copy: PathBytes, stats: fs.BigIntStats) => boolean): boolean {
  const { parents, parentDirectories, task } = stage;
  const { location } = task.settings;
  const parent = parents[known.from];
  if (parent === undefined) return false;
  const { directory, name } = splitPath(fromJsonPath(known.entry.path));
  const data = `${location.destination}/${parent}/${snapshotEntries.data}`;
  try {
    const copy = parentDirectories.get(location.root, dataPath(data, directory)).entry(name);
    const stats = lstatIfPresent(copy);
    if (stats !== undefined) return isCopyOf(known.entry, stats) ? calls(copy, stats) : noteDamage(stage, known);
  } catch (error) {
    if (errnoName(error) === undefined || isErrno(error, 'Cancelled')) throw error;
    if (!isErrno(error, 'ENOENT')) return false;
  }
  // A snapshot that was removed meanwhile is not damaged.
  return lstatIfPresent(data) !== undefined && noteDamage(stage, known);
}

function noteDamage(stage: ParentStage, { entry, from }: KnownFile): false {
  stage.damaged = addDamaged(stage.damaged, { count: 1, sample: [pathText(dataPath(`${stage.parents[from]}/${snapshotEntries.data}`, fromJsonPath(entry.path)))] });
  return false;
}

/** What a file system says that shares no blocks, or not between these files. */
const noClones = ['EOPNOTSUPP', 'ENOTSUP', 'EXDEV', 'EINVAL', 'ENOTTY', 'ENOSYS'];

function clone(stage: ParentStage, copy: PathBytes, target: string): boolean {
  try {
    // By its descriptor: what is opened by a path could be a link by now.
    withOpen(copy, (descriptor) => fs.copyFileSync(hasDescriptorPaths ? `/proc/self/fd/${descriptor}` : copy, target, COPYFILE_EXCL | COPYFILE_FICLONE_FORCE));
    return true;
  } catch (error) {
    if (!isErrno(error, ...noClones)) throw error;
    stage.canClone = false;
    return false;
  }
}

function withOpen(path: PathBytes, calls: (descriptor: number) => void): void {
  const descriptor = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    calls(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

function isCopyOf({ sizeBytes, mtimeNs, mode }: FileEntry, stats: fs.BigIntStats): boolean {
  return stats.isFile() && Number(stats.size) === sizeBytes && String(stats.mtimeNs) === mtimeNs && (Number(stats.mode) & PERMISSION_BITS) === (Number.parseInt(mode, 8) & PERMISSION_BITS);
}

/** Its bytes are those that were recorded; what cannot be read is not. */
function isIntact({ task, control }: ParentStage, copy: PathBytes, { sha256, sizeBytes }: FileEntry): boolean {
  const { verify } = task.settings;
  try {
    const found = readBack(copy, verify === 'none' ? 'cache' : verify, control);
    return found.sha256 === sha256 && found.sizeBytes === sizeBytes;
  } catch (error) {
    if (errnoName(error) === undefined || isErrno(error, 'Cancelled')) throw error;
    return false;
  }
}

function link(copy: PathBytes, stats: fs.BigIntStats, target: PathBytes): boolean {
  try {
    fs.linkSync(copy, target);
    return true;
  } catch (error) {
    if (errnoName(error) !== 'EEXIST') throw error;
    // An earlier attempt has linked it; what else lies there is another attempt's copy, and goes by the journal.
    const found = lstatIfPresent(target);
    return found !== undefined && isSameInode(found, stats);
  }
}
