import * as fs from 'node:fs';
import ignore, { type Ignore } from 'ignore';
import { isErrno } from '../errors';
import { pathText, type PathBytes } from '../path-bytes';

/** What people leave out of their snapshots. */
export interface ExcludeRules {
  /** As in a `.gitignore` at the top of each source; one that begins with a source's own path means that very place. */
  readonly patterns: readonly string[];
  /** Leave out what is in directories that say of themselves that they are caches (https://bford.info/cachedir/). */
  readonly caches: boolean;
  /** Leave out larger files. */
  readonly maxSizeBytes: number | null;
}

/** Patterns that have left nothing out yet. What re-includes something, and comments, are none of them. */
export function idlePatterns(patterns: readonly string[]): Set<string> {
  return new Set(patterns.filter((pattern) => !/^(?:[!#]|\s*$)/.test(pattern)));
}

/** The patterns for one source. */
export class SourceExcludes {
  private readonly rules: Ignore | undefined;
  private readonly prefixLength: number;

  /** @param idle loses each pattern that leaves something out, where no earlier one does */
  constructor(
    source: string,
    patterns: readonly string[],
    private readonly idle: Set<string>,
  ) {
    this.prefixLength = source === '/' ? 1 : Buffer.byteLength(source) + 1;
    if (patterns.length === 0) return;
    this.rules = ignore({ allowRelativePaths: true, ignorecase: false });
    for (const pattern of patterns) this.rules.add({ pattern: relativeTo(source, pattern), mark: pattern });
  }

  /** @param path below the source */
  isExcluded(path: PathBytes, isDirectory: boolean): boolean {
    if (this.rules === undefined) return false;
    const below = typeof path === 'string' ? Buffer.from(path).subarray(this.prefixLength).toString() : pathText(path.subarray(this.prefixLength));
    const { ignored, rule } = this.rules.test(isDirectory ? `${below}/` : below);
    if (ignored && rule?.mark !== undefined) this.idle.delete(rule.mark);
    return ignored;
  }
}

/** `/home/alice/.cache` of the source `/home/alice` is its `/.cache`. */
function relativeTo(source: string, pattern: string): string {
  const [not, plain] = pattern.startsWith('!') ? ['!', pattern.slice(1)] : ['', pattern];
  const prefix = source === '/' ? '/' : `${source}/`;
  return plain.startsWith(prefix) ? `${not}/${plain.slice(prefix.length)}` : pattern;
}

/** Name and beginning of the file by which a directory says that it is a cache. */
export const CACHE_TAG = 'CACHEDIR.TAG';
const CACHE_SIGNATURE = 'Signature: 8a477f597d28d172789f06886806bc55';

/** @param tag the file of that name in the directory */
export function isCacheTag(tag: string): boolean {
  try {
    const descriptor = fs.openSync(tag, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
    try {
      const buffer = Buffer.alloc(CACHE_SIGNATURE.length);
      return fs.fstatSync(descriptor).isFile() && fs.readSync(descriptor, buffer) === buffer.length && buffer.toString() === CACHE_SIGNATURE;
    } finally {
      fs.closeSync(descriptor);
    }
  } catch (error) {
    // Not one that can be read: then it does not count, and is backed up or fails like any other file.
    if (isErrno(error, 'ENOENT', 'EACCES', 'ELOOP', 'ENXIO', 'EIO')) return false;
    throw error;
  }
}
