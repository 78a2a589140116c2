import { OpenDirectories } from '../../batch/open-directories';
import type { OpenDirectory } from '../../directory';
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
  private missing: { readonly key: string; readonly parent: PathBytes | undefined } | undefined;

  constructor(private readonly location: Pick<RunLocation, 'root' | 'destination'>) {}

  /** @throws StorageError `TargetNotCanonical`, errno names when the way there runs through something else than directories */
  find(path: PathBytes): Found | undefined {
    const key = orderKey(path);
    if (this.missing !== undefined && isBelowKey(this.missing.key, key)) return undefined;
    const { directory, name } = splitPath(targetOf(this.location, path));
    const parent = this.open(directory);
    const entry = parent?.entry(name);
    const stats = entry === undefined ? undefined : blaming('destination', pathText(directory), () => lstatIfPresent(entry));
    if (entry !== undefined && stats !== undefined) return { stats, entry };
    this.missing = { key, parent: parent?.path };
    return undefined;
  }

  /**
   * Of what was just found, or not: the directory that is there and in which something has to be made for it. Undefined where
   * the destination itself is to be made.
   */
  holderOf(path: PathBytes): OpenDirectory | undefined {
    const key = orderKey(path);
    const { missing } = this;
    if (missing !== undefined && (missing.key === key || isBelowKey(missing.key, key))) return missing.parent === undefined ? undefined : this.open(missing.parent);
    return this.open(splitPath(targetOf(this.location, path)).directory);
  }

  close(): void {
    this.directories.close();
  }

  private open(directory: PathBytes): OpenDirectory | undefined {
    try {
      return this.directories.look(this.location.root, directory);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }
}
