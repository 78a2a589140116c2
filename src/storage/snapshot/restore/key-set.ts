import { orderKey, ROOT_KEY } from '../entry-order';

/** Key of the directory that an entry is in; of the root directory, and of what is no key, nothing. */
function parentKey(key: string): string {
  const at = key.lastIndexOf('\0');
  return at > 0 ? key.slice(0, at) : at === 0 && key !== ROOT_KEY ? ROOT_KEY : '';
}

/** Paths, each standing for itself and everything below it. */
export class KeySet {
  private readonly matched = new Set<string>();
  private readonly paths: Map<string, string>;
  private readonly parents = new Set<string>();

  constructor(paths: readonly string[]) {
    this.paths = new Map(paths.map((path) => [orderKey(path), path]));
    for (const key of this.paths.keys()) for (let parent = parentKey(key); parent !== ''; parent = parentKey(parent)) this.parents.add(parent);
  }

  /** The entry is one of the paths, or below one. */
  has(key: string): boolean {
    let found = false;
    for (let each = key; each !== ''; each = parentKey(each)) {
      if (!this.paths.has(each)) continue;
      this.matched.add(each);
      found = true;
    }
    return found;
  }

  /** The entry is one of the paths. */
  names(key: string): boolean {
    return this.paths.has(key);
  }

  /** One of the paths is below the entry. */
  leadsTo(key: string): boolean {
    return this.parents.has(key);
  }

  /** Paths that nothing was found for. */
  unmatched(): string[] {
    return [...this.paths].flatMap(([key, path]) => (this.matched.has(key) ? [] : [path]));
  }
}
