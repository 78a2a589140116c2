import * as fs from 'node:fs';
import { isBelow } from '../core/roots';
import { bytewise, joinPath, pathOf, pathText, splitPath, type PathBytes } from './path-bytes';
import { blaming, isErrno, StorageError, type Side } from './errors';
import { mountOf } from './mount';
import { doubtAboutFile, requireOwn, requireTrust } from './trust';
import { accessFor, componentsBelow, hasDescriptorPaths, notCanonical, openBelow, openFromTop, Way } from './way';

/** Sticky, and all may write. */
const EVERYBODYS = 0o1002;

/**
 * An open directory that was reached component by component without following a link, so that nobody can redirect
 * what is done in it by swapping a parent for a link. Elsewhere than on Linux the path is checked once instead.
 * One of the destination's side is judged as well, with all that leads to it, by `whoElseMayReplace`.
 */
export class OpenDirectory {
  private constructor(
    readonly path: PathBytes,
    private readonly side: Side,
    private readonly descriptor: number,
    private readonly way: Way,
  ) {}

  /**
   * @param root a directory without links in its own path
   * @throws StorageError `SourceNotCanonical`/`TargetNotCanonical` when a component is a link, `DestinationNotTrusted` when
   *   somebody else can replace what is made there, errno names otherwise
   */
  static open(root: string, path: PathBytes, side: Side): OpenDirectory {
    return OpenDirectory.look(root, path, side).trusted();
  }

  /** As `open`, to look only: then it does not matter who else may write there. */
  static look(root: string, path: PathBytes, side: Side): OpenDirectory {
    if (!isAtOrBelow(root, path)) throw new StorageError('EACCES', side, pathText(path), `${pathText(path)} is not below ${root}`);
    return blaming(side, pathText(path), () => {
      // The way to a source's root is not opened step by step: there this is all that looks for links.
      if (side === 'source') refuseLinks(root, side);
      const way = new Way();
      // Whoever can replace a directory above a destination's root can replace the root.
      return new OpenDirectory(path, side, namingLinks(path, side, () => openFromTop(side === 'source' ? root : '/', path, side, way)), way);
    });
  }

  /** As `look`, for a path at or below this directory's, from this directory on. */
  lookBelow(path: PathBytes): OpenDirectory {
    if (!isAtOrBelow(pathText(this.path), path)) throw new StorageError('EACCES', this.side, pathText(path), `${pathText(path)} is not below ${pathText(this.path)}`);
    const names = componentsBelow(this.path, path);
    if (!hasDescriptorPaths || names.length === 0) return OpenDirectory.look('/', path, this.side);
    return blaming(this.side, pathText(path), () => {
      const way = this.way.copy();
      return new OpenDirectory(path, this.side, namingLinks(path, this.side, () => openBelow(this.descriptor, names, path, this.side, way)), way);
    });
  }

  /** This directory, to be written to. Closes it otherwise. @throws StorageError `DestinationNotTrusted` */
  trusted(): this {
    return this.orClose(() => this.requireTrust());
  }

  /** Before anything is written to one that was opened to look. @throws StorageError `DestinationNotTrusted` */
  requireTrust(): void {
    requireTrust(this.way.doubt, pathText(this.path));
  }

  /** This directory, if it is one that this program has made for itself. Closes it otherwise. @throws StorageError `DestinationNotTrusted` */
  own(): this {
    return this.orClose(() => requireOwn(this.descriptor, this.handle, pathText(this.path)));
  }

  /**
   * Of a file that is written to in place: where everybody may make entries, it must be the running user's or root's.
   * @throws StorageError `DestinationNotTrusted`
   */
  requireOwnEntry(file: { readonly userId: number; readonly groupId: number; readonly mode: number }, path: string): void {
    if ((Number(this.stat().mode) & EVERYBODYS) === EVERYBODYS) requireTrust(doubtAboutFile({ uid: file.userId, gid: file.groupId, mode: file.mode }, path), path);
  }

  /** This directory, once the calls are done with it. Closes it when they throw. */
  after(calls: (descriptor: number) => void): this {
    return this.orClose(() => calls(this.descriptor));
  }

  /** Where this directory lets nobody else in, nothing below it is judged: it does not matter then whose it is. */
  closedToOthers(): this {
    if ((Number(this.stat().mode) & 0o077) === 0) this.way.close();
    return this;
  }

  /** A path for this very directory, whatever its own path names by now. */
  get handle(): string {
    return hasDescriptorPaths ? `/proc/self/fd/${this.descriptor}` : String(this.path);
  }

  /** Likewise for an entry of it. */
  entry(name: string): string;
  entry(name: PathBytes): PathBytes;
  entry(name: PathBytes): PathBytes {
    return joinPath(hasDescriptorPaths ? this.handle : this.path, name);
  }

  /** Opens a directory in this one. @throws StorageError as `look` */
  child(name: PathBytes): OpenDirectory {
    const path = joinPath(this.path, name);
    return blaming(this.side, pathText(path), () => {
      try {
        return new OpenDirectory(path, this.side, fs.openSync(this.entry(name), accessFor('destination')), this.way.copy());
      } catch (error) {
        if (!isErrno(error, 'ELOOP', 'ENOTDIR')) throw error;
        throw new StorageError(notCanonical(this.side), this.side, pathText(path), `${pathText(path)} is a link or a file by now`, {}, { cause: error });
      }
    });
  }

  /** What entries of it can be linked and renamed within; see `mountOf`. */
  get mount(): string {
    return mountOf(this.handle);
  }

  /** Makes the names in it durable. */
  sync(): void {
    blaming(this.side, pathText(this.path), () => fs.fsyncSync(this.descriptor));
  }

  /** Runs calls on the directory itself: its owner, times and mode. */
  use<T>(calls: (descriptor: number) => T): T {
    return blaming(this.side, pathText(this.path), () => calls(this.descriptor));
  }

  stat(): fs.BigIntStats {
    return fs.fstatSync(this.descriptor, { bigint: true });
  }

  close(): void {
    fs.closeSync(this.descriptor);
  }

  private orClose(judge: () => void): this {
    try {
      blaming(this.side, pathText(this.path), judge);
      return this;
    } catch (error) {
      this.close();
      throw error;
    }
  }
}

/** Hands an open directory to the calls and closes it in any case. */
export function using<T>(directory: OpenDirectory, calls: (directory: OpenDirectory) => T): T {
  try {
    return calls(directory);
  } finally {
    directory.close();
  }
}

/** Opens a directory, hands it to the calls and closes it in any case. */
export function inDirectory<T>(root: string, path: PathBytes, side: Side, calls: (directory: OpenDirectory) => T): T {
  return using(OpenDirectory.open(root, path, side), calls);
}

/** Opens the directory that holds `path` and hands it over with the last component's name. */
export function inParent<T, Path extends PathBytes>(root: string, path: Path, side: Side, calls: (parent: OpenDirectory, name: Path) => T): T {
  const { directory, name } = splitPath(path);
  // Part of a text is text.
  return inDirectory(root, directory, side, (parent) => calls(parent, name as Path));
}

/** Syncs a directory by descriptor path or name. */
export function syncDirectory(path: PathBytes): void {
  const descriptor = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Likewise several, each of them once. @throws StorageError errno names */
export function syncDirectories(paths: Iterable<PathBytes>): void {
  const distinct = new Map<string, PathBytes>();
  for (const path of paths) distinct.set(bytewise(path), path);
  for (const path of distinct.values()) blaming('destination', pathText(path), () => syncDirectory(path));
}

/**
 * Opens, and names the real path where that finds a link. The real path is asked for only then: it takes a call for each
 * component. Elsewhere than on Linux, where nothing finds them in opening, it is asked for before.
 */
function namingLinks(path: PathBytes, side: Side, open: () => number): number {
  if (!hasDescriptorPaths) refuseLinks(path, side);
  try {
    return open();
  } catch (error) {
    if (isErrno(error, notCanonical(side))) refuseLinks(path, side);
    throw error;
  }
}

/** The friendly refusal: names the real path. The guarantee is in openBelow, which nobody can race. */
function refuseLinks(path: PathBytes, side: Side): void {
  const real = fs.realpathSync.native(path, 'buffer');
  if (real.equals(Buffer.from(path))) return;
  const text = pathText(pathOf(real));
  throw new StorageError(notCanonical(side), side, pathText(path), `${pathText(path)} runs through a symbolic link; its real path is ${text}`, { expected: text });
}

function isAtOrBelow(root: string, path: PathBytes): boolean {
  return typeof path === 'string' ? isBelow(root, path) : isBelow(bytewise(root), bytewise(path));
}
