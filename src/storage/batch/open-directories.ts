import { OpenDirectory } from '../directory';
import type { Side } from '../errors';
import { splitPath, type PathBytes } from '../path-bytes';
import { componentsBelow } from '../way';

/** Files of one directory mostly follow each other: this many open at a time are enough. */
const LIMIT = 32;

/** Directories opened without following links, kept open for the next file in them. */
export class OpenDirectories {
  private readonly open = new Map<string, OpenDirectory>();
  private readonly unsynced = new Set<OpenDirectory>();
  /** The one that was asked for last: comparing its path is cheaper than looking it up. */
  private last: { readonly path: PathBytes; readonly directory: OpenDirectory } | undefined;

  /** Of destinations, opened once each: all of the way down to them is judged with them. */
  private readonly roots = new Map<string, OpenDirectory>();

  constructor(private readonly side: Side) {}

  /** @throws StorageError as `OpenDirectory.open` */
  get(root: string, path: PathBytes): OpenDirectory {
    const directory = this.look(root, path);
    directory.requireTrust();
    return directory;
  }

  /** To look only, at what is in it. @throws StorageError as `OpenDirectory.look` */
  look(root: string, path: PathBytes): OpenDirectory {
    if (this.last?.path === path) return this.last.directory;
    const directory = this.find(root, path);
    this.last = { path, directory };
    return directory;
  }

  /** Names in it have changed: `sync` makes them durable, or what closes it before. */
  touch(directory: OpenDirectory): void {
    this.unsynced.add(directory);
  }

  /** Makes the names in all touched directories durable. */
  sync(): void {
    for (const directory of this.unsynced) this.syncOne(directory);
  }

  close(): void {
    for (const directory of [...this.open.values(), ...this.roots.values()]) directory.close();
    this.open.clear();
    this.roots.clear();
    this.last = undefined;
  }

  private find(root: string, path: PathBytes): OpenDirectory {
    const key = typeof path === 'string' ? path : `\0${path.toString('latin1')}`;
    const known = this.open.get(key);
    if (known !== undefined) return known;
    const directory = this.openFrom(root, path);
    if (this.open.size >= LIMIT) this.closeOldest();
    this.open.set(key, directory);
    return directory;
  }

  /**
   * A deep one from the one above it, which is open or opened first: with the levels above that stay open, a way up or down
   * takes about one call a level. From the top each would take as many as it is deep.
   */
  private openFrom(root: string, path: PathBytes): OpenDirectory {
    if (componentsBelow(root, path).length > LIMIT) return this.find(root, splitPath(path).directory).lookBelow(path);
    return this.side === 'source' ? OpenDirectory.look(root, path, this.side) : this.rootOf(root).lookBelow(path);
  }

  private rootOf(path: string): OpenDirectory {
    const known = this.roots.get(path) ?? OpenDirectory.look(path, path, this.side);
    this.roots.set(path, known);
    return known;
  }

  private closeOldest(): void {
    for (const [key, directory] of this.open) {
      this.syncOne(directory);
      this.open.delete(key);
      directory.close();
      return;
    }
  }

  private syncOne(directory: OpenDirectory): void {
    if (this.unsynced.delete(directory)) directory.sync();
  }
}
