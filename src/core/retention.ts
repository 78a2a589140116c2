import { localDay } from './local-time';
import { retentionDurationText, timeBefore, type RetentionDuration } from './retention-duration';
import { inGroups } from './snapshot-group';
import { isInFuture } from './snapshot-name';

/** Which snapshots stay; what is not given keeps none. */
export interface RetentionPolicy {
  /** So many of the newest. */
  readonly last?: number;
  /** The newest one of each of so many hours, days, ISO weeks, months and years that have any. */
  readonly hourly?: number;
  readonly daily?: number;
  readonly weekly?: number;
  readonly monthly?: number;
  readonly yearly?: number;
  /** Everything that is younger than the newest snapshot of the group by no more than this. */
  readonly within?: RetentionDuration;
  /** Everything with any of these tags. */
  readonly tags: readonly string[];
}

/** What the policy looks at. */
export interface RetentionCandidate {
  readonly name: string;
  readonly startedAtMs: number;
  readonly tags: readonly string[];
  readonly status: 'complete' | 'partial';
  /** The policy is applied to each group by itself. */
  readonly group: string;
}

/** Why a snapshot stays; one without reasons goes. */
export interface RetentionDecision {
  readonly name: string;
  readonly reasons: readonly string[];
}

/** The reason of a snapshot that a rule does not count, since it has not begun yet. */
export const DATED_IN_FUTURE = 'dated in the future';

/** Decisions on all snapshots, and the groups of which the policy by itself would leave nothing: never a thing to carry out. */
export interface Retention {
  readonly decisions: readonly RetentionDecision[];
  readonly emptiedGroups: readonly string[];
}

/** True for a policy that keeps nothing whatever there is. */
export function isEmptyPolicy(policy: RetentionPolicy): boolean {
  return policy.tags.length === 0 && policy.within === undefined && rules.every(({ count }) => count(policy) === 0);
}

/**
 * Decides which snapshots stay, by the rules of restic's `forget`: periods are those of local time, of each the newest
 * snapshot stays; where a rule finds fewer periods than it may keep, the oldest snapshot stays as well. Differences are
 * on the safe side:
 *
 * - A partial snapshot counts for a rule of periods only where its period has no complete one. For `last` every snapshot
 *   is a period of its own, so there a partial one counts as any other.
 * - The newest complete snapshot of a group stays in any case, with the reason "last complete".
 * - Snapshots of the future, made by a clock that was wrong, stay and count for no rule.
 *
 * @param nowMs what tells the future
 * @returns decisions in the order of the snapshots
 */
export function applyRetention(snapshots: readonly RetentionCandidate[], policy: RetentionPolicy, nowMs: number): Retention {
  const reasons = new Map<string, string[]>();
  const emptiedGroups: string[] = [];
  for (const { name, startedAtMs } of snapshots) if (isInFuture(startedAtMs, nowMs)) reasons.set(name, [DATED_IN_FUTURE]);
  const newestFirst = snapshots.filter(({ name }) => !reasons.has(name)).sort((a, b) => b.startedAtMs - a.startedAtMs || (a.name < b.name ? 1 : -1));
  for (const [group, members] of inGroups(newestFirst, (snapshot) => snapshot.group)) {
    const kept = reasonsInGroup(members, policy);
    if (members.every(({ name }) => kept.get(name)?.length === 0)) emptiedGroups.push(group);
    const lastComplete = members.find(({ status }) => status === 'complete');
    const ofLastComplete = lastComplete && kept.get(lastComplete.name);
    if (ofLastComplete?.length === 0) ofLastComplete.push('last complete');
    for (const [name, why] of kept) reasons.set(name, why);
  }
  return { decisions: snapshots.map(({ name }) => ({ name, reasons: reasons.get(name) ?? [] })), emptiedGroups };
}

function reasonsInGroup(members: readonly RetentionCandidate[], policy: RetentionPolicy): Map<string, string[]> {
  const reasons = new Map(members.map(({ name }) => [name, [] as string[]]));
  const keep = (snapshot: RetentionCandidate, reason: string): void => void reasons.get(snapshot.name)?.push(reason);
  for (const snapshot of members) {
    for (const tag of policy.tags) if (snapshot.tags.includes(tag)) keep(snapshot, `has tag ${tag}`);
  }
  if (policy.within !== undefined) keepWithin(members, policy.within, keep);
  for (const rule of rules) keepPeriods(members, rule, rule.count(policy), keep);
  return reasons;
}

type Keep = (snapshot: RetentionCandidate, reason: string) => void;

function keepWithin(members: readonly RetentionCandidate[], within: RetentionDuration, keep: Keep): void {
  const [newest] = members;
  const sinceMs = newest === undefined ? -Infinity : timeBefore(newest.startedAtMs, within);
  for (const snapshot of members) if (snapshot.startedAtMs > sinceMs) keep(snapshot, `within ${retentionDurationText(within)}`);
}

interface Rule {
  readonly reason: string;
  readonly count: (policy: RetentionPolicy) => number;
  readonly periodOf: (date: Date, name: string) => string;
}

const rules: readonly Rule[] = [
  { reason: 'last snapshot', count: ({ last = 0 }) => last, periodOf: (_date, name) => name },
  // With the offset to UTC, since one hour comes twice when summer time ends.
  { reason: 'hourly snapshot', count: ({ hourly = 0 }) => hourly, periodOf: (date) => `${localDay(date)} ${date.getHours()} ${date.getTimezoneOffset()}` },
  { reason: 'daily snapshot', count: ({ daily = 0 }) => daily, periodOf: localDay },
  { reason: 'weekly snapshot', count: ({ weekly = 0 }) => weekly, periodOf: weekOf },
  { reason: 'monthly snapshot', count: ({ monthly = 0 }) => monthly, periodOf: (date) => localDay(date).slice(0, -3) },
  { reason: 'yearly snapshot', count: ({ yearly = 0 }) => yearly, periodOf: (date) => String(date.getFullYear()) },
];

/** The Monday of the ISO week. */
function weekOf(date: Date): string {
  const daysSinceMonday = (date.getDay() + 6) % 7;
  return localDay(new Date(date.getFullYear(), date.getMonth(), date.getDate() - daysSinceMonday));
}

function keepPeriods(members: readonly RetentionCandidate[], { reason, periodOf }: Rule, count: number, keep: Keep): void {
  const counting = countingOnes(members.map((snapshot) => ({ snapshot, period: periodOf(new Date(snapshot.startedAtMs), snapshot.name) })));
  let left = count;
  for (const [index, { snapshot, period }] of counting.entries()) {
    if (left === 0) return;
    const isNewestOfPeriod = counting[index - 1]?.period !== period;
    if (!isNewestOfPeriod && index < counting.length - 1) continue;
    keep(snapshot, isNewestOfPeriod ? reason : `oldest ${reason}`);
    left -= 1;
  }
}

interface InPeriod {
  readonly snapshot: RetentionCandidate;
  readonly period: string;
}

/** Without partial snapshots where there are better ones. */
function countingOnes(members: readonly InPeriod[]): InPeriod[] {
  const withComplete = new Set(members.filter(({ snapshot }) => snapshot.status === 'complete').map(({ period }) => period));
  return members.filter(({ snapshot, period }) => snapshot.status === 'complete' || !withComplete.has(period));
}
