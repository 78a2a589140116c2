import { boundedText } from '../../../core/bounded-text';
import type { EntryFailure } from '../../batch/chunk';
import type { Draft } from '../../batch/draft';
import type { Side } from '../../errors';
import { pathText, toJsonPath, type PathBytes } from '../../path-bytes';
import type { ReadFrom } from '../../read-back';
import type { FailureCount } from '../planned-snapshot';
import { skipTexts, type SkipReason } from './request';

/** A failed entry for people: text of bounded length. */
export interface SampledFailure {
  readonly path: string;
  readonly code: string;
  readonly side: Side;
  readonly message: string;
}

export interface SampledSkip {
  readonly path: string;
  readonly reason: SkipReason;
}

/** What a restore came to. `restored`, `unchanged`, `failed` and `skipped` add up to `entries`. */
export interface RestoreSummary {
  readonly entries: number;
  readonly restored: number;
  /** As recorded already. */
  readonly unchanged: number;
  readonly failed: number;
  readonly skipped: number;
  readonly skippedByReason: Readonly<Partial<Record<SkipReason, number>>>;
  /** Of files that were copied. */
  readonly sizeBytes: number;
  readonly unchangedBytes: number;
  readonly verifiedFrom: ReadFrom | null;
  readonly failures: readonly FailureCount[];
  readonly failureSample: readonly SampledFailure[];
  /** Of skipped entries other than those that exist or that the restore did not get to. */
  readonly skippedSample: readonly SampledSkip[];
}

export const SAMPLE = 20;
const MAX_TEXT_BYTES = 600;

/** Adds a restore up, and writes down what was not restored. */
export class RestoreTally {
  private readonly counts = { restored: 0, unchanged: 0, failed: 0, skipped: 0, sizeBytes: 0, unchangedBytes: 0 };
  private readonly skippedByReason: Partial<Record<SkipReason, number>> = {};
  private readonly failures = new Map<string, { code: string; side: Side; count: number }>();
  private readonly failureSample: SampledFailure[] = [];
  private readonly skippedSample: SampledSkip[] = [];
  private verifiedFrom: ReadFrom | null = null;

  constructor(private readonly record: Draft) {}

  restored(count = 1, sizeBytes = 0): void {
    this.counts.restored += count;
    this.counts.sizeBytes += sizeBytes;
  }

  unchanged(count = 1, sizeBytes = 0): void {
    this.counts.unchanged += count;
    this.counts.unchangedBytes += sizeBytes;
  }

  /** `cache` as soon as one copy was read back from there. */
  verified(from: ReadFrom | null): void {
    if (from !== null && this.verifiedFrom !== 'cache') this.verifiedFrom = from;
  }

  fail(path: PathBytes, failure: EntryFailure): void {
    const { code, side, message } = failure;
    this.counts.failed += 1;
    const known = this.failures.get(`${side} ${code}`);
    if (known === undefined) this.failures.set(`${side} ${code}`, { code, side, count: 1 });
    else known.count += 1;
    if (this.failureSample.length < SAMPLE) this.failureSample.push({ path: bounded(pathText(path)), code, side, message: bounded(message) });
    this.record.add({ path: toJsonPath(path), state: 'failed', failure });
  }

  /** By name. */
  skip(path: PathBytes, reason: SkipReason): void {
    this.skipMany(1, reason);
    if (this.skippedSample.length < SAMPLE) this.skippedSample.push({ path: bounded(pathText(path)), reason });
    this.record.add({ path: toJsonPath(path), state: 'skipped', reason: skipTexts[reason] });
  }

  /** By number alone, where there may be many and nothing is to be done about them. */
  skipMany(count: number, reason: SkipReason): void {
    if (count === 0) return;
    this.counts.skipped += count;
    this.skippedByReason[reason] = (this.skippedByReason[reason] ?? 0) + count;
  }

  summary(): RestoreSummary {
    const { counts, skippedByReason, verifiedFrom, failureSample, skippedSample } = this;
    const entries = counts.restored + counts.unchanged + counts.failed + counts.skipped;
    return { entries, ...counts, skippedByReason, verifiedFrom, failures: [...this.failures.values()], failureSample, skippedSample };
  }
}

function bounded(text: string): string {
  return boundedText(text, MAX_TEXT_BYTES);
}
