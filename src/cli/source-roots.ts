import { dirname } from 'node:path';

const MAX_ROOTS = 64;

/** Few directories that hold many: as deep as a bounded number of them allows. */
export class SourceRoots {
  private roots = new Set<string>();
  private depth = Infinity;

  /** @param directory absolute, as bytes */
  add(directory: Buffer): void {
    this.roots.add(cut(textual(directory), this.depth));
    while (this.roots.size > MAX_ROOTS) this.lift();
  }

  list(): string[] {
    return [...this.roots];
  }

  /** All of them one level up, but for those that are higher already. */
  private lift(): void {
    const deepest = Math.max(...[...this.roots].map(depthOf));
    this.depth = deepest - 1;
    this.roots = new Set([...this.roots].map((root) => cut(root, this.depth)));
  }
}

/** The directory, or the nearest one above it whose name is text: roots are configuration, and that is text. */
function textual(directory: Buffer): string {
  const text = directory.toString('utf8');
  if (Buffer.from(text).equals(directory)) return text;
  return textual(Buffer.from(dirname(directory.toString('latin1')), 'latin1'));
}

function depthOf(path: string): number {
  return path === '/' ? 0 : path.split('/').length - 1;
}

function cut(path: string, depth: number): string {
  if (depthOf(path) <= depth) return path;
  return `/${path.split('/').slice(1, depth + 1).join('/')}`;
}
