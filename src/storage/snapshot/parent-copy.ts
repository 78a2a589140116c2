import * as fs from 'node:fs';
import type { OpenDirectories } from '../batch/open-directories';
import type { ChunkTask } from '../batch/chunk';
import type { TransferControl } from '../control';
import { errnoName, isErrno } from '../errors';
import { isSameInode, lstatIfPresent } from '../file-stat';
import { pathText, splitPath, type PathBytes } from '../path-bytes';
import { readBack } from '../read-back';
import { addDamaged, type DamagedCopies } from './damaged-copies';
import { PERMISSION_BITS, type FileEntry } from './entry';
import { dataPath } from './incoming-data';
import type { KnownFile } from './parent';
import { snapshotEntries } from './snapshot-record';

/** What it takes to use copies of the parent. */
export interface ParentStage {
  readonly task: ChunkTask;
  /** Directory of this snapshot's copies. */
  readonly data: string;
  /** Snapshots that files are known from. */
  readonly parents: readonly string[];
  readonly parentDirectories: OpenDirectories;
  readonly control: TransferControl;
  /** Copies of the parents that are not as it says. */
  damaged: DamagedCopies;
}

/**
 * Gives the parent's copy of a file a further name in this snapshot. False when it is not what the parent says, which is
 * noted, or cannot be linked: then the source is copied.
 * @param isRead read the copy back first: its bytes count, and not only its attributes
 * @throws StorageError `Cancelled`
 */
export function linkParentsCopy(stage: ParentStage, path: PathBytes, { entry: known, from }: KnownFile, isRead: boolean): boolean {
  const { data, parents, parentDirectories, task } = stage;
  const { location } = task.settings;
  const parent = parents[from];
  if (parent === undefined) return false;
  const { directory, name } = splitPath(path);
  const parentData = `${location.destination}/${parent}/${snapshotEntries.data}`;
  try {
    const copy = parentDirectories.get(location.root, dataPath(parentData, directory)).entry(name);
    const stats = lstatIfPresent(copy);
    if (stats === undefined) return noteUnless(lstatIfPresent(parentData) === undefined, stage, parent, path);
    if (!isCopyOf(known, stats)) return noteUnless(false, stage, parent, path);
    if (isRead && !isIntact(stage, copy, known)) return noteUnless(false, stage, parent, path);
    // By a path through the run's directory, which is the fence: once it is published or given up, this leads nowhere.
    return link(copy, stats, dataPath(data, path));
  } catch (error) {
    // Whatever is wrong with the parent: the source is there.
    if (errnoName(error) === undefined || isErrno(error, 'Cancelled')) throw error;
    return false;
  }
}

/** A snapshot that was removed meanwhile is not damaged. */
function noteUnless(isRemoved: boolean, stage: ParentStage, parent: string, path: PathBytes): false {
  if (!isRemoved) stage.damaged = addDamaged(stage.damaged, { count: 1, sample: [pathText(dataPath(`${parent}/${snapshotEntries.data}`, path))] });
  return false;
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
