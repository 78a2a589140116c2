import { StorageError } from '../errors';
import { isRepository } from '../inside-repository';
import { bytewise, joinPath, pathText, splitPath, type PathBytes } from '../path-bytes';

/** Directories that are remembered at a time; a list mostly comes by in order. */
const MOST_REMEMBERED = 10_000;

/** The directories below a destination that targets lie in, each looked at once. */
export class TargetDirectories {
  private readonly known: Set<string>;

  constructor(private readonly destination: string) {
    this.known = new Set([bytewise(destination)]);
  }

  /** @throws StorageError `TargetInsideRepository` for a target in a repository below the destination */
  refuseRepositories(target: PathBytes): void {
    for (let path = splitPath(joinPath(this.destination, target)).directory; !this.known.has(bytewise(path)); path = splitPath(path).directory) {
      if (isRepository(path)) throw new StorageError('TargetInsideRepository', 'destination', pathText(path), `${pathText(joinPath(this.destination, target))} would lie inside the repository ${pathText(path)}`);
      this.remember(bytewise(path));
    }
  }

  private remember(path: string): void {
    if (this.known.size >= MOST_REMEMBERED) {
      this.known.clear();
      this.known.add(bytewise(this.destination));
    }
    this.known.add(path);
  }
}
