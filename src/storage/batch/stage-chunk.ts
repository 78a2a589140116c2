import type * as fs from 'node:fs';
import { rootOf } from '../../core/roots';
import type { TransferControl } from '../control';
import { copyContent, copyMetadata, syncCopy, type CopyOptions } from '../copy';
import { writing } from '../stage-file';
import type { OpenDirectory } from '../directory';
import { blaming, StorageError } from '../errors';
import { isSameInode, lstatIfPresent, spaceBytes } from '../file-stat';
import { requireReplaceable } from '../inspect-file';
import { bytewise, joinPath, pathText, splitPath, type PathBytes } from '../path-bytes';
import { withSourceIn, type OpenSource } from '../source';
import type { ChunkSettings, ChunkTask } from './chunk';
import type { ChunkFile } from './chunk-file';
import { requireSpace } from './free-space';
import { mirroredMode } from './mirrored-mode';
import { readChunk, type PlanEntry } from './plan';
import { inTask } from './run-mark';
import { openOrCreate, stageFiles, type Stage, type StagedChunk } from './stage-files';

/**
 * Copies a chunk's files into the run's staging directory: the first half of the work on a chunk, up to what must be
 * made durable at once. What is wrong with one file is written down and does not stop the others.
 * @throws StorageError `StagingRevoked`, `Cancelled`, errno names of the run's own files
 */
export function stageChunk(task: ChunkTask, control: TransferControl): StagedChunk {
  return inTask(task, (opened) => stageFiles(opened, readChunk(opened.settings.location, task.chunk), copyOne, control));
}

function copyOne(stage: Stage<ChunkSettings>, file: ChunkFile<PlanEntry>, name: string): void {
  const { settings } = stage.task;
  const targetPath = joinPath(settings.location.destination, file.target);
  const text = pathText(file.source);
  const { directory, name: sourceName } = splitPath(file.source);
  const parent = stage.sources.get(sourceRootOf(settings.sourceRoots, directory, file.source), directory);
  withSourceIn(parent, sourceName, text, (source) => {
    // After the source: what cannot be read leaves no empty directory behind.
    const targetStats = inspectTarget(stage, targetPath, parent);
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

/** Makes missing parents, which are those of the source again, and answers what lies at the target. */
function inspectTarget(stage: Stage<ChunkSettings>, targetPath: PathBytes, source: OpenDirectory): fs.BigIntStats | undefined {
  const { directory, name } = splitPath(targetPath);
  const parent = openOrCreate(stage, directory, (levels) => mirroredMode(source, levels));
  // It was missing a moment ago; should somebody have been quicker, the link to the target says so.
  if (stage.createdDirectories.size > 0 && stage.createdDirectories.has(bytewise(directory))) return undefined;
  const text = pathText(targetPath);
  return blaming('destination', text, () => {
    const stats = lstatIfPresent(parent.entry(name));
    if (stats !== undefined) requireReplaceable(stats, text);
    return stats;
  });
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

function takeKnown(file: ChunkFile<PlanEntry>): void {
  const { known } = file.entry;
  file.state = 'unchanged';
  file.sizeBytes = known?.sizeBytes ?? 0;
  file.sha256 = known?.sha256;
  file.targetInode = known?.targetInode;
  file.targetMtimeNs = known?.targetMtimeNs;
}

function writeStaged({ task, directory, isScarce: mayBeFull, control }: Stage<ChunkSettings>, source: OpenSource, file: ChunkFile, name: string, sourcePath: string, targetPath: string): void {
  if (mayBeFull) requireSpace(task.settings.location.destination, targetPath, spaceBytes(source.stats));
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
