import type { Side } from '../errors';
import { absoluteText, failure, sampleOf, side, someText } from '../records/fields';
import { arrayOf, nullable, objectOf, text, wholeNumber, type Shape } from '../records/shape';
import type { FailedEntry } from './entry';

/** A failure for people, and for telling its type. */
export interface PlanFailure {
  readonly path: string;
  readonly failure: FailedEntry['failure'];
}

/** How often entries failed in one way. */
export interface FailureCount {
  readonly code: string;
  readonly side: Side;
  readonly count: number;
}

/** What a plan came to; kept beside it. */
export interface PlannedSnapshot {
  /** Of these there are lines in chunks. */
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
  readonly failed: number;
  /** How many of which. */
  readonly failureCounts: readonly FailureCount[];
  /** The first few. */
  readonly failures: readonly PlanFailure[];
  readonly vanished: number;
  readonly excluded: number;
  readonly leftOut: readonly string[];
  readonly parent: string | null;
  /** As they were walked through: none below another. */
  readonly sources: readonly string[];
}

const count = wholeNumber();

export const failureCount: Shape<FailureCount> = objectOf<FailureCount>({ code: text(64, /^\w+$/), side, count });

export const plannedSnapshot: Shape<PlannedSnapshot> = objectOf<PlannedSnapshot>({
  files: count,
  sizeBytes: count,
  chunks: count,
  failed: count,
  failureCounts: sampleOf(failureCount),
  failures: sampleOf(objectOf<PlanFailure>({ path: someText, failure })),
  vanished: count,
  excluded: count,
  leftOut: sampleOf(someText),
  parent: nullable(text(40, /^[\w-]+$/)),
  sources: arrayOf(absoluteText, 100_000),
});
