import { OpenDirectories } from '../../batch/open-directories';
import type { RunLocation } from '../../batch/run-directory';
import { blaming, isErrno } from '../../errors';
import { lstatIfPresent } from '../../file-stat';
import { joinPath, pathText, splitPath, type PathBytes } from '../../path-bytes';
import { isBelowKey, orderKey } from '../entry-order';
import type { Found } from './decide';

/** Where an entry goes: its full path, below the restore's destination. */
export function targetOf({ destination }: Pick<RunLocation, 'destination'>, path: PathBytes): PathBytes {
  return path.length === 1 ? destination : joinPath(destination, path.slice(1));
}

/** Looks at targets without following links on the way. Does not look below what it did not find, if that is asked next. */
export class TargetFinder {
  private readonly directories = new OpenDirectories('destination');
  private missing: string | undefined;

  constructor(private readonly location: Pick<RunLocation, 'root' | 'destination'>) {}

  /** @throws StorageError `TargetNotCanonical`, errno names when the way there runs through something else than directories */
  find(path: PathBytes): Found | undefined {
    const key = orderKey(path);
    if (this.missing !== undefined && isBelowKey(this.missing, key)) return undefined;
    const found = this.look(targetOf(this.location, path));
    if (found === undefined) this.missing = key;
    return found;
  }

  close(): void {
    this.directories.close();
  }

  private look(target: PathBytes): Found | undefined {
    const { directory, name } = splitPath(target);
    try {
      const entry = this.directories.get(this.location.root, directory).entry(name);
      const stats = blaming('destination', pathText(target), () => lstatIfPresent(entry));
      return stats && { stats, entry };
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }
}
