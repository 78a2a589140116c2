import { absoluteText, readFrom, sampleOf, side, someText } from '../../records/fields';
import { nullable, objectOf, oneOf, optional, text, wholeNumber, type Shape } from '../../records/shape';
import { failureCount } from '../planned-snapshot';
import { skipTexts, type SkipReason } from './request';
import type { RestoreSummary, SampledFailure, SampledSkip } from './restore-tally';

/** A restore that has ended, as its record in the run's directory says it. */
export interface FinishedRestore extends RestoreSummary {
  /** Names all that failed, where that is more than the sample; it stays when the run's directory is removed. */
  readonly failuresPath: string | null;
}

const count = wholeNumber();
const reasons = Object.keys(skipTexts) as SkipReason[];

const counted: readonly (readonly [SkipReason, Shape<number | undefined>])[] = reasons.map((reason) => [reason, optional(count)]);
const byReason = objectOf<Partial<Record<SkipReason, number>>>(Object.fromEntries(counted) as Record<SkipReason, Shape<number | undefined>>);

export const finishedRestore: Shape<FinishedRestore> = objectOf<FinishedRestore>({
  entries: count,
  restored: count,
  unchanged: count,
  failed: count,
  skipped: count,
  skippedByReason: byReason,
  sizeBytes: count,
  unchangedBytes: count,
  verifiedFrom: nullable(readFrom),
  failures: sampleOf(failureCount),
  failureSample: sampleOf(objectOf<SampledFailure>({ path: someText, code: text(64, /^\w+$/), side, message: someText })),
  skippedSample: sampleOf(objectOf<SampledSkip>({ path: someText, reason: oneOf(...reasons) })),
  failuresPath: nullable(absoluteText),
});
