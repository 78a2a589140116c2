/**
 * Which of all files have their bytes read: those whose digest falls into `count` of `of` equal parts, from part `first`
 * on. Goes by the digest, so that the hard links of one file in many snapshots are in one part.
 */
export interface DataShare {
  readonly first: number;
  readonly count: number;
  readonly of: number;
}

/** Every file. */
export const allData: DataShare = { first: 0, count: 1, of: 1 };

/** Fine enough for a tenth of a thousandth of everything. */
const PERCENT_PARTS = 10_000;
const MOST_PARTS = 1_000_000;

/** Of a digest; more than a double could hold exactly are not wanted. */
const HEX_DIGITS = 12;

export function isInShare({ first, count, of }: DataShare, sha256: string): boolean {
  const part = Number.parseInt(sha256.slice(0, HEX_DIGITS), 16) % of;
  return (part - first + of) % of < count;
}

/**
 * `3/7` is the third of seven parts. `5%` is another twentieth each day, so that a daily check has read everything after
 * twenty days. Undefined for what is neither.
 * @param day a number that grows by one each day
 */
export function parseDataShare(text: string, day: number): DataShare | undefined {
  return parsePart(text) ?? parsePercent(text, day);
}

function parsePart(text: string): DataShare | undefined {
  const [, part, parts] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (part === undefined || parts === undefined || part < 1 || part > parts || parts > MOST_PARTS) return undefined;
  return { first: part - 1, count: 1, of: parts };
}

function parsePercent(text: string, day: number): DataShare | undefined {
  const [, number] = /^(\d+(?:\.\d+)?)%$/.exec(text) ?? [];
  const count = Math.ceil((Number(number) / 100) * PERCENT_PARTS);
  if (number === undefined || count < 1 || count > PERCENT_PARTS) return undefined;
  return { first: (day * count) % PERCENT_PARTS, count, of: PERCENT_PARTS };
}
