import { needed, type Needed } from '../batch/room';
import type { Side } from '../errors';
import { absoluteText, failure, sampleOf, side, someText } from '../records/fields';
import { arrayOf, nullable, objectOf, optional, text, wholeNumber, type Shape } from '../records/shape';
import type { FailedEntry } from './entry';
import type { WalkedSource } from './sources';
import { identity } from './walked';

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
  /** By what the parent does not have; plans of earlier programs do not say. */
  readonly needed?: Needed;
  readonly chunks: number;
  readonly failed: number;
  /** How many of which. */
  readonly failureCounts: readonly FailureCount[];
  /** The first few. */
  readonly failures: readonly PlanFailure[];
  readonly vanished: number;
  readonly excluded: number;
  readonly leftOut: readonly string[];
  /** The snapshot that most files are known from. */
  readonly parent: string | null;
  /** Those that files are known from, as lines of the plan count them. Absent in plans of earlier programs: the one parent. */
  readonly parents?: readonly string[];
  /** None below another. */
  readonly sources: readonly string[];
  /** All that were named, as the walk found them; not in plans of earlier versions. */
  readonly walked?: readonly WalkedSource[];
  /** Sources without a file of which an earlier snapshot has some. */
  readonly emptied?: readonly PlanFailure[];
  /** The first few patterns that left nothing out. */
  readonly idleExcludes?: readonly string[];
}

const count = wholeNumber();
const snapshotName = text(40, /^[\w-]+$/);

export const failureCount: Shape<FailureCount> = objectOf<FailureCount>({ code: text(64, /^\w+$/), side, count });

export const planFailure: Shape<PlanFailure> = objectOf<PlanFailure>({ path: someText, failure });

/** A request takes 32 KiB of paths. */
const MOST_SOURCES = 100_000;

export const plannedSnapshot: Shape<PlannedSnapshot> = objectOf<PlannedSnapshot>({
  files: count,
  sizeBytes: count,
  needed: optional(needed),
  chunks: count,
  failed: count,
  failureCounts: sampleOf(failureCount),
  failures: sampleOf(planFailure),
  vanished: count,
  excluded: count,
  leftOut: sampleOf(someText),
  parent: nullable(snapshotName),
  parents: optional(arrayOf(snapshotName, MOST_SOURCES)),
  sources: arrayOf(absoluteText, MOST_SOURCES),
  walked: optional(arrayOf(objectOf<WalkedSource>({ path: absoluteText, identity: nullable(identity), files: count, vanished: count, excluded: count }), MOST_SOURCES)),
  emptied: optional(arrayOf(planFailure, MOST_SOURCES)),
  idleExcludes: optional(sampleOf(someText)),
});
