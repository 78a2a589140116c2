/** Sums of a run's journals that its state carries at most: they travel from execution to execution. */
const MOST_SUMS = 100;

/** Chunks of a sum at least. */
const FEWEST_CHUNKS = 100;

/** Sums are of so many bits, as the tags are. */
const MODULUS = 1n << 256n;

/** What history knows of the journals of a run's chunks. */
export interface JournalSums {
  /** A sum for each `chunksPerSum` chunks, as 64 hexadecimal digits; of none for those that no chunk was added to. */
  readonly sums: readonly string[];
  /** Chunks that were begun and are in no sum: they may have a journal or not. */
  readonly unsettled: readonly number[];
  /** Chunks before this one were begun. */
  readonly begun: number;
}

/** How many chunks, which follow each other, one sum is of. */
export function chunksPerSum(chunks: number): number {
  return Math.max(FEWEST_CHUNKS, Math.ceil(chunks / MOST_SUMS));
}

/** The sums with one tag more, whatever the order in which they come. */
export function addTag(sums: readonly string[], at: number, tag: string): string[] {
  const added = Array.from({ length: Math.max(sums.length, at + 1) }, (_, index) => sums[index] ?? NO_SUM);
  added[at] = hexadecimal((BigInt(`0x${added[at] ?? NO_SUM}`) + BigInt(`0x${tag}`)) % MODULUS);
  return added;
}

/** The sum of some tags. */
export function sumOfTags(tags: Iterable<string>): string {
  let sum = 0n;
  for (const tag of tags) sum = (sum + BigInt(`0x${tag}`)) % MODULUS;
  return hexadecimal(sum);
}

const NO_SUM = '0'.repeat(64);

/** The sum that stands at a place. */
export function sumAt({ sums }: Pick<JournalSums, 'sums'>, at: number): string {
  return sums[at] ?? NO_SUM;
}

function hexadecimal(value: bigint): string {
  return value.toString(16).padStart(64, '0');
}
