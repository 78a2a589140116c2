import { sampleOf, someText } from '../records/fields';
import { objectOf, wholeNumber, type Shape } from '../records/shape';

/** Copies of earlier snapshots that were found to be other than recorded: how many, and the first few by name, as `check` names them. */
export interface DamagedCopies {
  readonly count: number;
  readonly sample: readonly string[];
}

/** Enough to see what is wrong; `check --read-data` names all. */
const MOST_NAMES = 20;

export const damagedCopies: Shape<DamagedCopies> = objectOf<DamagedCopies>({ count: wholeNumber(), sample: sampleOf(someText) });

export const noDamagedCopies: DamagedCopies = { count: 0, sample: [] };

export function addDamaged(a: DamagedCopies, b: DamagedCopies): DamagedCopies {
  return b.count === 0 ? a : { count: a.count + b.count, sample: [...a.sample, ...b.sample].slice(0, MOST_NAMES) };
}
