import * as fs from 'node:fs';
import { join } from 'node:path';
import { treeOf } from '../helpers/files';
import type { SeededRandom } from '../helpers/seeded-random';
import { interceptFs } from './patched-fs';

interface Swap {
  readonly directory: string;
  readonly aside: string;
  /** Calls until it is swapped back; for some that is never. */
  callsLeft: number;
}

/** A directory outside that links lead to, and what is in it. */
interface Lure {
  readonly path: string;
  readonly tree: Record<string, string>;
}

const ASIDE = '.aside-';

/** A step makes some hundred calls. */
const CALLS_PER_SWAP = 12;
const LONGEST_SWAP_CALLS = 25;

/**
 * Somebody who may write everywhere below a directory: between two calls of the code under test, at random, puts a
 * directory aside and in its place a link to one outside that looks the same, and mostly puts it back some calls later.
 * Hooked into the calls instead of run beside them: every moment between two calls can be met, and a seed repeats it.
 */
export class Racer {
  swaps = 0;
  private open: Swap[] = [];
  private readonly lures: Lure[] = [];

  /**
   * @param inside directories below it are swapped
   * @param outside an empty directory, where links lead; no step may touch what gets there
   */
  constructor(
    private readonly inside: string,
    private readonly outside: string,
    private readonly random: SeededRandom,
  ) {}

  /** Runs a step with the racer at work. Answers what it threw. */
  async during(step: () => unknown): Promise<unknown> {
    const stop = interceptFs((_call, proceed) => {
      this.act();
      return proceed();
    });
    try {
      await step();
      return undefined;
    } catch (error) {
      return error;
    } finally {
      stop();
    }
  }

  /** Puts everything back as far as its name is free. */
  leave(): void {
    this.open.reverse().forEach(putBack);
    this.open = [];
  }

  /** What has changed outside, by path; nothing should have. */
  touched(): string[] {
    return this.lures.flatMap(({ path, tree }) => {
      const now = treeOf(path);
      return [...new Set([...Object.keys(tree), ...Object.keys(now)])].filter((name) => tree[name] !== now[name]).map((name) => `${path}/${name}: ${tree[name] ?? 'nothing'} became ${now[name] ?? 'nothing'}`);
    });
  }

  private act(): void {
    for (const swap of this.open) swap.callsLeft -= 1;
    this.open.filter(({ callsLeft }) => callsLeft <= 0).forEach(putBack);
    this.open = this.open.filter(({ callsLeft }) => callsLeft > 0);
    if (this.random.whole(0, CALLS_PER_SWAP) === 0) this.swap();
  }

  private swap(): void {
    const directories = directoriesBelow(this.inside).filter((path) => this.open.every((swap) => !isWithin(swap.directory, path) && !isWithin(path, swap.directory)));
    if (directories.length === 0) return;
    const directory = this.random.pick(directories);
    const [aside, lure] = [`${directory}${ASIDE}${this.swaps}`, join(this.outside, `lure-${this.swaps}`)];
    fs.cpSync(directory, lure, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true, filter: (path) => isPlain(path) });
    this.lures.push({ path: lure, tree: treeOf(lure) });
    fs.renameSync(directory, aside);
    fs.symlinkSync(lure, directory);
    this.swaps += 1;
    this.open.push({ directory, aside, callsLeft: this.random.whole(0, 8) === 0 ? Infinity : this.random.whole(1, LONGEST_SWAP_CALLS) });
  }
}

/** What is there by now stays. */
function putBack({ directory, aside }: Swap): void {
  const found = fs.lstatSync(directory, { throwIfNoEntry: false });
  if (found?.isSymbolicLink() === true) fs.unlinkSync(directory);
  else if (found !== undefined) return;
  if (fs.existsSync(aside)) fs.renameSync(aside, directory);
}

/**
 * Directories that somebody else can swap who may write to all that is not closed to others: also those that are closed,
 * but nothing in them. What was put aside is the racer's own.
 */
function directoriesBelow(path: string): string[] {
  return fs.readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    if (!entry.isDirectory() || entry.name.includes(ASIDE)) return [];
    const directory = join(path, entry.name);
    return isClosed(directory) ? [directory] : [directory, ...directoriesBelow(directory)];
  });
}

function isClosed(directory: string): boolean {
  return (fs.statSync(directory).mode & 0o077) === 0;
}

function isWithin(directory: string, path: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

function isPlain(path: string): boolean {
  const stats = fs.lstatSync(path);
  return stats.isDirectory() || stats.isFile() || stats.isSymbolicLink();
}
