import type { Side } from '../errors';
import { pathText, type PathBytes } from '../path-bytes';
import type { FailedEntry } from './entry';
import type { PlanFailure, PlannedSnapshot } from './planned-snapshot';

/** Their names travel through history. */
const MOST_FAILURES = 20;

/** What failed: all of it in numbers, and the first few by name. */
export type TalliedFailures = Pick<PlannedSnapshot, 'failed' | 'failureCounts' | 'failures'>;

export class FailureTally {
  private failed = 0;
  private readonly failures: PlanFailure[] = [];
  private readonly counts = new Map<string, { code: string; side: Side; count: number }>();

  add(path: PathBytes, failure: FailedEntry['failure']): void {
    const { code, side } = failure;
    const before = this.counts.get(`${side} ${code}`)?.count ?? 0;
    this.failed += 1;
    this.counts.set(`${side} ${code}`, { code, side, count: before + 1 });
    if (this.failures.length < MOST_FAILURES) this.failures.push({ path: pathText(path), failure });
  }

  total(): TalliedFailures {
    return { failed: this.failed, failures: this.failures, failureCounts: [...this.counts.values()] };
  }
}
