import * as fs from 'node:fs';
import { OpenDirectories } from '../../batch/open-directories';
import { bytewise, joinPath, pathOf, splitPath, type PathBytes } from '../../path-bytes';

const { O_DIRECTORY, O_NOFOLLOW } = fs.constants;

/** Linux: opens a directory for naming entries below it, which needs no read permission. Node does not export it. */
const O_PATH = 0o10000000;

const hasDescriptorPaths = process.platform === 'linux';

/** Of the deepest directories of the branch; those above are opened again when the way leads back to them. */
const MOST_OPEN = 128;

/**
 * The directories that lead from a repository down to the one that is looked at, each opened in the one above it, without
 * following links. For entries that come depth first a step down or up costs the same at any depth: opening each
 * directory by its path takes the square of the depth, and its real path the cube.
 */
export class OpenBranch {
  private readonly root: number;
  private readonly elsewhere = new OpenDirectories('source');
  private names: string[] = [];
  private descriptors: number[] = [];
  /** Levels that are not open any more, from the top on. */
  private closed = 0;
  private last: PathBytes | undefined;

  /** @param path of the repository, without links in it */
  constructor(private readonly path: string) {
    this.root = fs.openSync(path, (hasDescriptorPaths ? O_PATH : 0) | O_DIRECTORY | O_NOFOLLOW);
  }

  /**
   * A path for an entry by way of its open directory; good until the next one is asked for.
   * @throws errno names; `ENOTDIR` and `ELOOP` where something on the way is no directory, `SourceNotCanonical` for links elsewhere than on Linux
   */
  entry(path: PathBytes): PathBytes {
    const { directory, name } = splitPath(path);
    return joinPath(this.inside(directory), name);
  }

  /** The same for what is in a directory. */
  inside(directory: PathBytes): PathBytes {
    if (!hasDescriptorPaths) return this.elsewhere.get(this.path, directory).entry('.');
    if (this.last !== directory) this.goTo(bytewise(directory).slice(this.path === '/' ? 1 : Buffer.byteLength(this.path) + 1).split('/'));
    this.last = directory;
    return `/proc/self/fd/${this.descriptors.at(-1) ?? this.root}`;
  }

  close(): void {
    this.leave(0);
    fs.closeSync(this.root);
    this.elsewhere.close();
  }

  private goTo(names: readonly string[]): void {
    this.last = undefined;
    const firstOther = names.findIndex((name, index) => name !== this.names[index]);
    this.leave(firstOther < 0 ? names.length : firstOther);
    for (const name of names.slice(this.names.length)) this.enter(name);
  }

  private leave(levels: number): void {
    for (const descriptor of this.descriptors.splice(Math.max(0, levels - this.closed))) fs.closeSync(descriptor);
    const names = this.names.slice(0, levels);
    if (this.descriptors.length > 0) return void (this.names = names);
    // Nothing is open any more: down again from the repository.
    [this.names, this.closed] = [[], 0];
    for (const name of names) this.enter(name);
  }

  private enter(name: string): void {
    const above = `/proc/self/fd/${this.descriptors.at(-1) ?? this.root}`;
    this.descriptors.push(fs.openSync(joinPath(above, pathOf(Buffer.from(name, 'latin1'))), O_PATH | O_DIRECTORY | O_NOFOLLOW));
    this.names.push(name);
    if (this.descriptors.length <= MOST_OPEN) return;
    fs.closeSync(this.descriptors.shift() ?? -1);
    this.closed += 1;
  }
}
