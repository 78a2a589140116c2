import { attemptDirectory, attemptsAt, isStagedBy } from '../../batch/attempt-directory';
import { workOff } from '../../batch/backup-chunk';
import type { ChunkTask, PlannedFile } from '../../batch/chunk';
import type { ChunkFile } from '../../batch/chunk-file';
import { requireSpace } from '../../batch/free-space';
import { endedAlready, isForgotten } from '../../batch/discard-run';
import type { ChunkReport } from '../../batch/journal';
import { openOrCreate, stageFiles, type Stage, type StagedChunk } from '../../batch/stage-files';
import type { TransferControl } from '../../control';
import { blaming, isErrno, StorageError } from '../../errors';
import { isSameInode, lstatIfPresent, spaceBytes } from '../../file-stat';
import { bytewise, pathText, splitPath, type PathBytes } from '../../path-bytes';
import { copyItem } from './copy-item';
import { decide, type Decision, type Found } from './decide';
import { withCopy } from './open-source';
import type { RestoreSettings } from './request';
import { AttemptPlaces } from './reach';
import { readFileItems } from './read-items';
import type { FileItem } from './restore-item';
import { targetOf } from './target-finder';
import { requireReplaceable } from './writable';

/** A file of a restore's plan, as the path of a chunk knows it. */
interface RestoreFile extends PlannedFile {
  readonly item: FileItem;
}

/** Of one attempt at a chunk, besides what every attempt has. */
interface Chunk {
  /** Attempts before this one, which may have published some of its files. */
  readonly earlier: readonly string[];
  readonly places: AttemptPlaces;
}

/**
 * Restores one chunk, by the same path as a backup's: staged, made durable, read back, published, journaled. A chunk whose
 * journal is there is done, and is not done again.
 * @throws StorageError `StagingRevoked`, `Cancelled`, what made the destination or the repository ill, errno names of the run's own files
 */
export function restoreChunk(task: ChunkTask<RestoreSettings>, control: TransferControl): ChunkReport {
  const { location, ground } = task.settings;
  try {
    return workOff(task, stageRestore, control);
  } catch (error) {
    // Nothing stays of a restore: a server that has forgotten its end asks for what has no place any more.
    if (isErrno(error, 'DestinationGone') && isForgotten(location, ground)) throw endedAlready(location);
    throw error;
  }
}

function stageRestore(task: ChunkTask<RestoreSettings>, control: TransferControl): StagedChunk {
  const { sizeBytes, items } = readFileItems(task.settings.location, task.chunk);
  const entries = items.map((item): RestoreFile => ({ item, source: item.path, target: item.path.slice(1) }));
  const chunk: Chunk = { earlier: attemptsAt(task), places: new AttemptPlaces(task) };
  return stageFiles<RestoreSettings, RestoreFile>(task, { entries, sizeBytes }, (stage, file, name) => restoreOne(stage, file, name, chunk), control);
}

function restoreOne(stage: Stage<RestoreSettings>, file: ChunkFile<RestoreFile>, name: string, chunk: Chunk): void {
  const { settings } = stage.task;
  const { item } = file.entry;
  const targetPath = targetOf(settings.location, item.path);
  const found = findTarget(stage, targetPath);
  const decision = decideOn(stage, item, found, pathText(targetPath), isOurs(chunk, name, found));
  file.sizeBytes = item.sizeBytes;
  file.sha256 = item.sha256;
  if (decision === 'unchanged' || decision === 'keep') {
    file.state = 'unchanged';
    return;
  }
  file.targetExisted = decision === 'replace';
  withCopy(settings, stage.sources, item.path, (copy) => {
    const text = pathText(targetPath);
    if (found !== undefined && isSameInode(copy.stats, found.stats)) throw new StorageError('SameFile', 'destination', text, `Target ${text} is the snapshot's own copy`);
    const parent = openOrCreate(stage, splitPath(targetPath).directory);
    if (stage.isScarce) requireSpace(parent.path, text, spaceBytes(copy.stats));
    if (found !== undefined) requireReplaceable(parent, found.stats);
    file.place = chunk.places.placeFor(parent);
    copyItem(`${attemptDirectory(stage.task, file.place)}/${name}`, copy, item, text, stage.control, settings.syncEach);
  });
  file.state = 'backedUp';
  file.staged = name;
}

function decideOn(stage: Stage<RestoreSettings>, item: FileItem, found: Found | undefined, target: string, ours: boolean): Decision {
  if (ours) return 'replace';
  return blaming('destination', target, () => decide(item, found, stage.task.settings.overwrite, target, stage.control));
}

/** Published by an attempt that did not get to its journal: restored by this run, and not there before it. */
function isOurs({ earlier }: Chunk, name: string, found: Found | undefined): boolean {
  return found !== undefined && isStagedBy(earlier, name, found.stats);
}

/** What lies at the target; nothing is made for looking. */
function findTarget({ task, targets, createdDirectories }: Stage<RestoreSettings>, targetPath: PathBytes): Found | undefined {
  const { directory, name } = splitPath(targetPath);
  if (createdDirectories.size > 0 && createdDirectories.has(bytewise(directory))) return undefined;
  try {
    const entry = targets.look(task.settings.location.root, directory).entry(name);
    const stats = blaming('destination', pathText(targetPath), () => lstatIfPresent(entry));
    return stats && { stats, entry };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
