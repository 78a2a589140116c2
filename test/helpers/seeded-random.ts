/** Variable that sets the seed, to repeat a run of a test that failed. */
const SEED_VARIABLE = 'FILE_BACKUP_TEST_SEED';

/** The seed that was asked for, else another one each time. */
export function chooseSeed(env: NodeJS.ProcessEnv = process.env): number {
  const asked = env[SEED_VARIABLE];
  if (asked === undefined) return Math.floor(Math.random() * 2 ** 31);
  const seed = Number(asked);
  if (!Number.isInteger(seed)) throw new Error(`${SEED_VARIABLE} must be a whole number, not ${asked}`);
  return seed;
}

/** How the seed is to be given to have the same again. */
export function describeSeed(seed: number): string {
  return `${SEED_VARIABLE}=${seed}`;
}

/** Numbers that look random and are the same for the same seed (mulberry32). */
export class SeededRandom {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** From 0 up to, and without, 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from the least up to, and without, the end. */
  whole(least: number, end: number): number {
    return least + Math.floor(this.next() * (end - least));
  }

  /** One of them. */
  pick<Item>(items: readonly Item[]): Item {
    return items[this.whole(0, items.length)] as Item;
  }
}
