import { isBelow } from '../../core/roots';
import type { PathBytes } from '../path-bytes';
import { inWalkOrder, type WalkSource } from './sources';

/** Sources that a walk has yet to come to, in its order: so those below a directory are the next ones. */
export class SourceQueue {
  private readonly sources: readonly WalkSource[];
  private first = 0;

  constructor(sources: readonly WalkSource[]) {
    this.sources = inWalkOrder(sources);
  }

  isNext(path: PathBytes): boolean {
    return this.sources[this.first]?.path === path;
  }

  next(): WalkSource | undefined {
    const next = this.sources[this.first];
    if (next !== undefined) this.first += 1;
    return next;
  }

  /** Whether any of them is below a directory, at any depth. */
  hasBelow(path: PathBytes): boolean {
    const next = this.sources[this.first];
    return next !== undefined && typeof path === 'string' && isStrictlyBelow(path, next.path);
  }

  /** Names in a directory that lead to them. */
  namesBelow(path: PathBytes): Set<string> {
    const names = new Set<string>();
    for (let index = this.first; typeof path === 'string' && isStrictlyBelow(path, this.sources[index]?.path ?? path); index += 1) names.add(this.sources[index]?.path.slice(path === '/' ? 1 : path.length + 1).split('/', 1)[0] ?? '');
    return names;
  }
}

function isStrictlyBelow(directory: string, path: string): boolean {
  return path !== directory && isBelow(directory, path);
}

/** `/` and every directory on the way to a path. */
export function ancestorsOf(path: string): string[] {
  if (path === '/') return [];
  const names = path.split('/').slice(1, -1);
  return ['/', ...names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`)];
}
