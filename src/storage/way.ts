import * as fs from 'node:fs';
import { isErrno, StorageError, type Side } from './errors';
import { bytewise, joinPath, pathOf, pathText, type PathBytes } from './path-bytes';
import { doubtAbout, runningUser, type Doubt } from './trust';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;

/** Linux: opens a directory for naming entries below it, which needs no read permission. Node does not export it. */
const O_PATH = 0o10000000;

/** Entries of a directory descriptor are reachable by name on Linux: openat without openat. */
export const hasDescriptorPaths = process.platform === 'linux';

/**
 * What is known of the directories that lead down to one: whether somebody else can replace what is in them. Those above
 * the first one that the running user owns are the system's, and taken as they are; the last one always counts.
 */
export class Way {
  doubt: Doubt | undefined;
  private isBelowOwn = false;
  private isClosed = false;

  /** @param path of the component, for messages and for where descriptors have no paths */
  pass(owner: fs.Stats, handle: string, path: () => string, isLast: boolean): void {
    if (this.isClosed || this.doubt !== undefined) return;
    this.isBelowOwn ||= owner.uid === runningUser()?.uid;
    if (this.isBelowOwn || isLast) this.doubt = doubtAbout(handle, owner, path());
  }

  /** From here on nobody else gets in, so that it does not matter whose directories are below. */
  close(): void {
    this.isClosed = true;
  }

  copy(): Way {
    return Object.assign(new Way(), this);
  }
}

/** What opens a directory of one side: what is written to must be a real descriptor, since fsync refuses O_PATH. */
export function accessFor(side: Side): number {
  return (side === 'source' ? O_PATH : O_RDONLY) | O_DIRECTORY | O_NOFOLLOW;
}

/** Opens a directory without following a link, to name what is in it. */
export function openToName(path: PathBytes): number {
  return fs.openSync(path, (hasDescriptorPaths ? O_PATH : O_RDONLY) | O_DIRECTORY | O_NOFOLLOW);
}

/**
 * Opens a directory component by component, without following a link, and lets the way see each of the destination's side.
 * @param start an open directory; it stays open
 * @param names of the components from there, at least one
 * @throws StorageError `SourceNotCanonical`/`TargetNotCanonical` when a component is a link, errno names as they are
 */
export function openBelow(start: number, names: readonly PathBytes[], path: PathBytes, side: Side, way: Way): number {
  let current = start;
  const leave = (): void => {
    if (current !== start) fs.closeSync(current);
  };
  for (const [index, name] of names.entries()) {
    const isLast = index === names.length - 1;
    try {
      const next = fs.openSync(joinPath(`/proc/self/fd/${current}`, name), isLast ? accessFor(side) : O_PATH | O_DIRECTORY | O_NOFOLLOW);
      leave();
      current = next;
      if (side === 'destination') way.pass(fs.fstatSync(current), `/proc/self/fd/${current}`, () => pathText(parentOf(path, names.length - 1 - index)), isLast);
    } catch (error) {
      leave();
      if (!isErrno(error, 'ELOOP', 'ENOTDIR')) throw error;
      throw new StorageError(notCanonical(side), side, pathText(path), `${pathText(path)} runs through a link or a file at "${pathText(name)}"`, {}, { cause: error });
    }
  }
  return current;
}

/** Opens a directory by its whole path, judging all that leads to it. @throws as `openBelow` */
export function openFromTop(top: string, path: PathBytes, side: Side, way: Way): number {
  if (!hasDescriptorPaths) return openByPath(path, side, way);
  const names = componentsBelow(top, path);
  const start = fs.openSync(top, names.length === 0 ? accessFor(side) : O_PATH | O_DIRECTORY | O_NOFOLLOW);
  let opened: number | undefined;
  try {
    if (side === 'destination') way.pass(fs.fstatSync(start), `/proc/self/fd/${start}`, () => top, names.length === 0);
    opened = names.length === 0 ? start : openBelow(start, names, path, side, way);
    return opened;
  } finally {
    if (opened !== start) fs.closeSync(start);
  }
}

function openByPath(path: PathBytes, side: Side, way: Way): number {
  const depth = componentsBelow('/', path).length;
  for (let levels = depth; side === 'destination' && levels >= 0; levels -= 1) {
    const directory = pathText(parentOf(path, levels));
    way.pass(fs.lstatSync(directory), directory, () => directory, levels === 0);
  }
  return fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/** The directory so many levels above. */
function parentOf(path: PathBytes, levels: number): PathBytes {
  const names = bytewise(path).split('/');
  return pathOf(Buffer.from(names.slice(0, names.length - levels).join('/') || '/', 'latin1'));
}

/** Names of the components of a path below a directory that it is at or below. */
export function componentsBelow(directory: PathBytes, path: PathBytes): PathBytes[] {
  if (typeof directory === 'string' && typeof path === 'string') return path === directory ? [] : path.slice(directory === '/' ? 1 : directory.length + 1).split('/');
  const [from, to] = [bytewise(directory), bytewise(path)];
  return from === to ? [] : to.slice(from === '/' ? 1 : from.length + 1).split('/').map((name) => pathOf(Buffer.from(name, 'latin1')));
}

export function notCanonical(side: Side): string {
  return side === 'source' ? 'SourceNotCanonical' : 'TargetNotCanonical';
}
