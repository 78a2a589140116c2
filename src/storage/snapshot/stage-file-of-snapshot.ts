import * as fs from 'node:fs';
import { rootOf } from '../../core/roots';
import { requireSpace } from '../batch/free-space';
import type { OpenDirectories } from '../batch/open-directories';
import { copyContent, copyMetadata, syncCopy, type CopyOptions } from '../copy';
import { blaming, isErrno, StorageError } from '../errors';
import { isSameState, isSparse, spaceBytes } from '../file-stat';
import { bytewise, pathText, splitPath, toJsonPath, type PathBytes } from '../path-bytes';
import { hasExtendedAttributes } from '../posix';
import { digest } from '../read-back';
import { withSourceIn, type OpenSource } from '../source';
import { writing } from '../stage-file';
import { modeText, PERMISSION_BITS, type FileEntry } from './entry';
import { cloneParentsCopy, linkParentsCopy, type ParentStage } from './parent-copy';
import type { SnapshotFile } from './snapshot-file';
import { sourceOf, type WalkedSource } from './sources';
import { whyGone } from './walked';
import { clockMarginNs } from './clock-margin';

/** Everything that the files of one chunk need at hand. */
export interface SnapshotStage extends ParentStage {
  readonly sources: OpenDirectories;
  /** Where this attempt stages. */
  readonly directory: string;
  readonly isScarce: boolean;
  /** What sources have that is not kept. */
  readonly notKept: Set<string>;
  /** Sources as the walk found them. */
  readonly walked: readonly WalkedSource[];
}

/** Links the copy of a file that is unchanged, or copies the source aside. What is wrong with it is written down. */
export function stageFileOfSnapshot(stage: SnapshotStage, file: SnapshotFile, name: string): void {
  stage.control.startFile(pathText(file.path));
  try {
    const { known, isUnchanged } = file.planned;
    if (known === undefined || !isUnchanged || !linkParentsCopy(stage, file.path, known, false)) readSource(stage, file, name);
    else file.entry = { ...withoutLink(known.entry), path: toJsonPath(file.path), state: 'unchanged' };
  } catch (error) {
    if (error instanceof StorageError && error.code === 'Cancelled') throw error;
    file.fail(isGone(error) ? (whyFileIsGone(stage, file) ?? error) : error);
  }
}

/** No more at its path, by what was thrown. */
function isGone(error: unknown): boolean {
  return error instanceof StorageError && error.side === 'source' && isErrno(error, 'ENOENT', 'ENOTDIR');
}

function whyFileIsGone({ task, walked }: SnapshotStage, { path, planned }: SnapshotFile): StorageError | undefined {
  const source = sourceOf(walked, path);
  if (source === undefined) return undefined;
  const roots = task.settings.sourceRoots;
  const directory = planned.directory === undefined ? undefined : { path: splitPath(path).directory, root: sourceRootOf(roots, path), identity: planned.directory };
  return whyGone(path, { directory, source: { path: source.path, root: sourceRootOf(roots, source.path), identity: source.identity ?? '' } });
}

/** In this snapshot it may be the first of the file's names. */
function withoutLink({ hardLink: _hardLink, linkedTo: _linkedTo, ...entry }: FileEntry): FileEntry {
  return entry;
}

function readSource(stage: SnapshotStage, file: SnapshotFile, name: string): void {
  const text = pathText(file.path);
  const { directory, name: sourceName } = splitPath(file.path);
  const parent = stage.sources.get(sourceRootOf(stage.task.settings.sourceRoots, file.path), directory);
  // Before it is opened: what is written from now on may have the same time as what is read.
  const startedNs = BigInt(Date.now()) * 1_000_000n;
  withSourceIn(parent, sourceName, text, (source) => {
    const { stats } = source;
    const isRecent = stats.ctimeNs > startedNs - clockMarginNs(stats.dev, parent.entry('.'));
    if (!takeKnownContent(stage, file, source, name, isRecent)) copy(stage, file, source, name, isRecent);
  });
}

/** Of the file or of its directory, since a root may be either. */
export function sourceRootOf(roots: readonly string[], path: PathBytes): string {
  const root = typeof path === 'string' ? rootOf(roots, path) : roots.find((each) => rootOf([bytewise(each)], bytewise(path)) !== undefined);
  // A root that is a file has its directory for one: nothing else in it is asked for.
  if (root !== undefined) return root === path ? String(splitPath(root).directory) : root;
  throw new StorageError('SourceNotAllowed', 'source', pathText(path), `The worker may not read ${pathText(path)}: --source-root allows ${roots.join(', ') || 'nothing'}`);
}

/**
 * The bytes may be the same although its times do not prove it: then the copy before will do, if it holds them still. Where
 * mode, owner or time are others, it is not the same file: one that shares its blocks is made, where the file system can.
 */
function takeKnownContent(stage: SnapshotStage, file: SnapshotFile, source: OpenSource, name: string, isRecent: boolean): boolean {
  const { path, planned: { known, isUnchanged } } = file;
  // Of an unchanged one the copy has been tried already.
  if (known === undefined || isUnchanged || Number(source.stats.size) !== known.entry.sizeBytes) return false;
  const content = { sha256: known.entry.sha256, sizeBytes: known.entry.sizeBytes, isRecent };
  if (isSameOnCopy(known.entry, source.stats)) {
    if (!isSameContent(stage, path, known.entry, source) || !linkParentsCopy(stage, path, known, true)) return false;
    file.entry = entryOf(file, source, { state: 'unchanged', ...content });
    return true;
  }
  const isWanted = (): boolean => isSameContent(stage, path, known.entry, source);
  if (!cloneParentsCopy(stage, known, `${stage.directory}/${name}`, isWanted, (clone) => finishClone(stage, path, source, clone))) return false;
  file.entry = entryOf(file, source, { state: 'copied', ...content });
  file.staged = name;
  file.isClone = true;
  return true;
}

/** What a copy has of its source; set-user-id, set-group-id and sticky bits are recorded only. */
function isSameOnCopy({ mode, uid, gid, mtimeNs }: FileEntry, stats: fs.BigIntStats): boolean {
  return (Number.parseInt(mode, 8) & PERMISSION_BITS) === (Number(stats.mode) & PERMISSION_BITS) && uid === Number(stats.uid) && gid === Number(stats.gid) && mtimeNs === String(stats.mtimeNs);
}

function isSameContent(stage: SnapshotStage, path: PathBytes, known: FileEntry, { descriptor, stats }: OpenSource): boolean {
  const found = blaming('source', pathText(path), () => digest(descriptor, 'cache', stage.control, known.sizeBytes));
  const now = blaming('source', pathText(path), () => fs.fstatSync(descriptor, { bigint: true }));
  return found.sha256 === known.sha256 && isSameState(stats, now);
}

function finishClone(stage: SnapshotStage, path: PathBytes, source: OpenSource, clone: number): void {
  const text = pathText(path);
  blaming('destination', text, () => copyMetadata(clone, source.stats));
  if (stage.task.settings.syncEach) syncCopy(clone, { control: stage.control, targetPath: text });
}

function copy(stage: SnapshotStage, file: SnapshotFile, source: OpenSource, name: string, isRecent: boolean): void {
  const { task, directory, control } = stage;
  const { location, onSourceChanged, syncEach } = task.settings;
  const { stats } = source;
  const sourcePath = pathText(file.path);
  if (stage.isScarce) requireSpace(location.destination, sourcePath, spaceBytes(stats));
  if (hasExtendedAttributes(source.descriptor)) stage.notKept.add('xattrs');
  const options: CopyOptions = { sourcePath, targetPath: sourcePath, onSourceChanged, control, sync: syncEach };
  writing(`${directory}/${name}`, sourcePath, (descriptor) => {
    const { sha256, sizeBytes, changed } = copyContent(descriptor, source, options);
    const { stats: written } = blaming('destination', sourcePath, () => copyMetadata(descriptor, stats));
    if (isSparse(stats) && !isSparse(written)) stage.notKept.add('holes');
    if (syncEach) syncCopy(descriptor, options);
    file.entry = entryOf(file, source, { state: 'copied', sha256, sizeBytes, isRecent, changed });
  });
  file.staged = name;
}

interface Content {
  readonly state: FileEntry['state'];
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly isRecent: boolean;
  readonly changed?: boolean;
}

function entryOf({ path }: SnapshotFile, { stats }: OpenSource, { state, sha256, sizeBytes, isRecent, changed }: Content): FileEntry {
  return {
    path: toJsonPath(path),
    type: 'file',
    state,
    mode: modeText(stats.mode),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtimeNs: String(stats.mtimeNs),
    sizeBytes,
    sha256,
    ctimeNs: String(stats.ctimeNs),
    inode: String(stats.ino),
    readAt: new Date().toISOString(),
    ...(isRecent ? { recent: true as const } : {}),
    ...(changed === true ? { changed: true as const } : {}),
  };
}
