import * as fs from 'node:fs';
import { isBelow } from '../core/roots';
import { bytewise, joinPath, pathOf, pathText, splitPath, type PathBytes } from './path-bytes';
import { blaming, isErrno, StorageError, type Side } from './errors';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;

/** Linux: opens a directory for naming entries below it, which needs no read permission. Node does not export it. */
const O_PATH = 0o10000000;

/** Entries of a directory descriptor are reachable by name on Linux: openat without openat. */
const hasDescriptorPaths = process.platform === 'linux';

/**
 * An open directory that was reached component by component without following a link, so that nobody can redirect
 * what is done in it by swapping a parent for a link. Elsewhere than on Linux the path is checked once instead.
 */
export class OpenDirectory {
  private constructor(
    readonly path: PathBytes,
    private readonly side: Side,
    private readonly descriptor: number,
  ) {}

  /**
   * @param root an existing directory without links in its own path
   * @throws StorageError `SourceNotCanonical`/`TargetNotCanonical` when a component is a link, errno names otherwise
   */
  static open(root: string, path: PathBytes, side: Side): OpenDirectory {
    if (!isAtOrBelow(root, path)) throw new StorageError('EACCES', side, pathText(path), `${pathText(path)} is not below ${root}`);
    return blaming(side, pathText(path), () => {
      refuseLinks(path, side);
      return new OpenDirectory(path, side, openComponents(root, path, side));
    });
  }

  /** A path for an entry of this very directory, whatever its own path names by now. */
  entry(name: string): string;
  entry(name: PathBytes): PathBytes;
  entry(name: PathBytes): PathBytes {
    return joinPath(hasDescriptorPaths ? `/proc/self/fd/${this.descriptor}` : this.path, name);
  }

  /** Opens a directory in this one. @throws StorageError as `open` */
  child(name: PathBytes): OpenDirectory {
    const path = joinPath(this.path, name);
    return blaming(this.side, pathText(path), () => {
      try {
        return new OpenDirectory(path, this.side, fs.openSync(this.entry(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      } catch (error) {
        if (!isErrno(error, 'ELOOP', 'ENOTDIR')) throw error;
        throw new StorageError(notCanonical(this.side), this.side, pathText(path), `${pathText(path)} is a link or a file by now`, {}, { cause: error });
      }
    });
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
}

/** Opens a directory, hands it to the calls and closes it in any case. */
export function inDirectory<T>(root: string, path: PathBytes, side: Side, calls: (directory: OpenDirectory) => T): T {
  const directory = OpenDirectory.open(root, path, side);
  try {
    return calls(directory);
  } finally {
    directory.close();
  }
}

/** Opens the directory that holds `path` and hands it over with the last component's name. */
export function inParent<T, Path extends PathBytes>(root: string, path: Path, side: Side, calls: (parent: OpenDirectory, name: Path) => T): T {
  const { directory, name } = splitPath(path);
  // Part of a text is text.
  return inDirectory(root, directory, side, (parent) => calls(parent, name as Path));
}

/** Syncs a directory by descriptor path or name. */
export function syncDirectory(path: string): void {
  const descriptor = fs.openSync(path, O_RDONLY | O_DIRECTORY);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** The friendly refusal: names the real path. The guarantee is in openComponents, which nobody can race. */
function refuseLinks(path: PathBytes, side: Side): void {
  const real = fs.realpathSync.native(path, 'buffer');
  if (real.equals(Buffer.from(path))) return;
  const text = pathText(pathOf(real));
  throw new StorageError(notCanonical(side), side, pathText(path), `${pathText(path)} runs through a symbolic link; its real path is ${text}`, { expected: text });
}

function notCanonical(side: Side): string {
  return side === 'source' ? 'SourceNotCanonical' : 'TargetNotCanonical';
}

function isAtOrBelow(root: string, path: PathBytes): boolean {
  return typeof path === 'string' ? isBelow(root, path) : isBelow(bytewise(root), bytewise(path));
}

function openComponents(root: string, path: PathBytes, side: Side): number {
  if (!hasDescriptorPaths) return fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  const names = componentsBelow(root, path);
  // What is written to must be a real descriptor, since fsync refuses O_PATH.
  const last = side === 'source' ? O_PATH : O_RDONLY;
  if (names.length === 0) return fs.openSync(root, last | O_DIRECTORY | O_NOFOLLOW);
  let current = fs.openSync(root, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  for (const [index, name] of names.entries()) {
    const access = index === names.length - 1 ? last : O_PATH;
    try {
      const next = fs.openSync(joinPath(`/proc/self/fd/${current}`, name), access | O_DIRECTORY | O_NOFOLLOW);
      fs.closeSync(current);
      current = next;
    } catch (error) {
      fs.closeSync(current);
      if (!isErrno(error, 'ELOOP', 'ENOTDIR')) throw error;
      throw new StorageError(notCanonical(side), side, pathText(path), `${pathText(path)} runs through a link or a file at "${pathText(name)}"`, {}, { cause: error });
    }
  }
  return current;
}

function componentsBelow(root: string, path: PathBytes): PathBytes[] {
  if (typeof path === 'string') return path === root ? [] : path.slice(root === '/' ? 1 : root.length + 1).split('/');
  const below = path.subarray(root === '/' ? 1 : Buffer.byteLength(root) + 1).toString('latin1');
  return below.split('/').map((name) => pathOf(Buffer.from(name, 'latin1')));
}
