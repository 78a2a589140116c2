import fc from 'fast-check';
import { applyRetention, isEmptyPolicy, type RetentionCandidate, type RetentionPolicy } from '../../src/core/retention';
import { parseRetentionDuration, retentionDurationText, timeBefore } from '../../src/core/retention-duration';

/** Local times, since periods are those of local time. */
function at(time: string, more: Partial<RetentionCandidate> = {}): RetentionCandidate {
  return { name: time, startedAtMs: new Date(`${time.replace(' ', 'T')}:00`).getTime(), tags: [], status: 'complete', group: 'one', ...more };
}

const partial = (time: string): RetentionCandidate => at(time, { status: 'partial' });
const NOW_MS = at('2027-12-31 23:59').startedAtMs;

function decide(snapshots: RetentionCandidate[], policy: Partial<RetentionPolicy>, nowMs = NOW_MS): Record<string, string> {
  const { decisions } = applyRetention(snapshots, { tags: [], ...policy }, nowMs);
  return Object.fromEntries(decisions.flatMap(({ name, reasons }) => (reasons.length === 0 ? [] : [[name, reasons.join(', ')]])));
}

const within = (text: string) => ({ within: parseRetentionDuration(text) });

test.each<[string, RetentionCandidate[], Partial<RetentionPolicy>, Record<string, string>]>([
  ['the last two', [at('2026-01-01 10:00'), at('2026-01-02 10:00'), at('2026-01-03 10:00')], { last: 2 }, { '2026-01-02 10:00': 'last snapshot', '2026-01-03 10:00': 'last snapshot' }],
  ['the newest of an hour', [at('2026-01-01 10:00'), at('2026-01-01 10:59'), at('2026-01-01 11:00')], { hourly: 2 }, { '2026-01-01 10:59': 'hourly snapshot', '2026-01-01 11:00': 'hourly snapshot' }],
  ['the newest of a day, days without any not counted', [at('2026-01-01 00:00'), at('2026-01-05 09:00'), at('2026-01-05 23:59'), at('2026-01-09 00:00')], { daily: 2 }, { '2026-01-05 23:59': 'daily snapshot', '2026-01-09 00:00': 'daily snapshot' }],
  ['ISO weeks begin on Monday, and one may lie in two years', [at('2026-12-27 10:00'), at('2026-12-28 10:00'), at('2027-01-03 10:00')], { weekly: 2 }, { '2026-12-27 10:00': 'weekly snapshot', '2027-01-03 10:00': 'weekly snapshot' }],
  ['months of different years are different', [at('2024-03-31 10:00'), at('2025-03-01 10:00'), at('2025-03-31 10:00')], { monthly: 2 }, { '2024-03-31 10:00': 'monthly snapshot', '2025-03-31 10:00': 'monthly snapshot' }],
  ['the newest of a year', [at('2024-12-31 10:00'), at('2025-01-01 10:00'), at('2026-01-01 10:00')], { yearly: 2 }, { '2025-01-01 10:00': 'yearly snapshot', '2026-01-01 10:00': 'yearly snapshot' }],
  ['the oldest too, while there are fewer periods', [at('2026-01-02 08:00'), at('2026-01-02 09:00'), at('2026-01-02 10:00')], { daily: 2 }, { '2026-01-02 08:00': 'oldest daily snapshot', '2026-01-02 10:00': 'daily snapshot' }],
  ['not the oldest when the count is used up', [at('2026-01-02 08:00'), at('2026-01-02 10:00')], { daily: 1 }, { '2026-01-02 10:00': 'daily snapshot' }],
  ['several rules give several reasons', [at('2026-01-02 08:00'), at('2026-01-03 08:00')], { last: 1, yearly: 1 }, { '2026-01-03 08:00': 'last snapshot, yearly snapshot' }],
  ['by any tag', [at('2026-01-01 10:00', { tags: ['b', 'c'] }), at('2026-01-02 10:00', { tags: ['d'] }), at('2026-01-03 10:00')], { last: 1, tags: ['a', 'b'] }, { '2026-01-01 10:00': 'has tag b', '2026-01-03 10:00': 'last snapshot' }],
  ['within a span that ends with the newest, its beginning not included', [at('2020-01-01 10:00'), at('2020-01-01 10:01'), at('2020-02-01 10:00')], within('1m'), { '2020-01-01 10:01': 'within 1m', '2020-02-01 10:00': 'within 1m' }],
  ['within a span that is longer than all calendars', [at('2020-01-01 10:00'), at('2026-02-01 10:00')], within('999999y'), { '2020-01-01 10:00': 'within 999999y', '2026-02-01 10:00': 'within 999999y' }],
  ['a complete one rather than a newer partial one of its day', [at('2026-01-01 10:00'), partial('2026-01-01 11:00'), at('2026-01-02 10:00')], { daily: 2 }, { '2026-01-01 10:00': 'daily snapshot', '2026-01-02 10:00': 'daily snapshot' }],
  ['a partial one where its day has no complete one', [at('2026-01-01 10:00'), partial('2026-01-02 11:00'), partial('2026-01-02 12:00')], { daily: 2 }, { '2026-01-01 10:00': 'daily snapshot', '2026-01-02 12:00': 'daily snapshot' }],
  ['the last complete one in any case', [at('2026-01-01 10:00'), at('2026-01-02 10:00'), partial('2026-01-03 10:00'), partial('2026-01-04 10:00')], { last: 1 }, { '2026-01-02 10:00': 'last complete', '2026-01-04 10:00': 'last snapshot' }],
  ['each group by itself', [at('2026-01-01 10:00'), at('2026-01-02 10:00', { group: 'other' })], { last: 1 }, { '2026-01-01 10:00': 'last snapshot', '2026-01-02 10:00': 'last snapshot' }],
])('the policy keeps: %s', (_what, snapshots, policy, expected) => {
  expect(decide(snapshots, policy)).toEqual(expected);
});

test('a clock that once was wrong does not make everything old', () => {
  const snapshots = [at('2026-01-01 10:00'), at('2026-01-20 10:00'), at('2099-01-01 10:00')];
  expect(Object.keys(decide(snapshots, within('7d')))).toEqual(['2026-01-20 10:00', '2099-01-01 10:00']);
  expect(Object.keys(decide([at('2099-01-01 10:00'), at('2100-01-01 10:00')], within('7d')))).toHaveLength(2);
});

test('groups of which the policy would leave nothing are named, whatever else would save them', () => {
  const snapshots = [at('2026-01-01 10:00', { tags: ['a'] }), at('2026-01-02 10:00', { group: 'bare' }), at('2026-01-03 10:00', { group: 'partial', status: 'partial' })];
  expect(applyRetention(snapshots, { tags: ['a'] }, NOW_MS).emptiedGroups.toSorted()).toEqual(['bare', 'partial']);
});

test.each([
  ['2y5m7d3h', { years: 2, months: 5, days: 7, hours: 3 }],
  ['30d', { years: 0, months: 0, days: 30, hours: 0 }],
  ...['', '0d', '3h2y', '5', '-1d', '1.5d', '1w', '1d ', '9999999d'].map((text): [string, undefined] => [text, undefined]),
])('a duration is read strictly: "%s"', (text, expected) => {
  const duration = parseRetentionDuration(text);
  expect(duration).toEqual(expected);
  if (duration !== undefined) expect(retentionDurationText(duration)).toBe(text);
});

test('durations go by the calendar, also into the first century', () => {
  expect(timeBefore(at('2024-03-31 10:00').startedAtMs, { years: 1, months: 1, days: 0, hours: 2 })).toBe(at('2023-03-03 08:00').startedAtMs);
  expect(new Date(timeBefore(at('2026-03-31 10:00').startedAtMs, { years: 1950, months: 0, days: 0, hours: 0 })).getFullYear()).toBe(76);
});

test('a policy without any rule is empty', () => {
  expect(isEmptyPolicy({ tags: [] })).toBe(true);
  for (const policy of [{ tags: ['a'] }, { tags: [], yearly: 1 }, { tags: [], ...within('1h') }]) expect(isEmptyPolicy(policy)).toBe(false);
});

const HOUR_MS = 3_600_000;
const candidates = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 3000 }), fc.boolean(), fc.subarray(['a', 'b']), fc.constantFrom('one', 'two')), { maxLength: 40, selector: ([hours]) => hours })
  .map((rows) => rows.map(([hours, isComplete, tags, group]): RetentionCandidate => ({ name: `s${hours}`, startedAtMs: NOW_MS - 7 * hours * HOUR_MS, tags, status: isComplete ? 'complete' : 'partial', group })));
const some = fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined });
const policies = fc.record({
  ...{ last: some, hourly: some, daily: some, weekly: some, monthly: some, yearly: some },
  within: fc.option(fc.record({ years: fc.integer({ min: 0, max: 2 }), months: fc.constant(0), days: fc.integer({ min: 1, max: 400 }), hours: fc.constant(0) }), { nil: undefined }),
  tags: fc.subarray(['a', 'b']),
});
const runs = { seed: 20_261_124, numRuns: 1000 };

function kept(snapshots: RetentionCandidate[], policy: RetentionPolicy, nowMs = NOW_MS): RetentionCandidate[] {
  const stays = new Set(applyRetention(snapshots, policy, nowMs).decisions.flatMap(({ name, reasons }) => (reasons.length > 0 ? [name] : [])));
  return snapshots.filter(({ name }) => stays.has(name));
}

const newestOf = (snapshots: RetentionCandidate[]): RetentionCandidate | undefined => snapshots.toSorted((a, b) => b.startedAtMs - a.startedAtMs)[0];

test('whatever the policy, the last complete snapshot of every group stays', () => {
  const property = fc.property(candidates, policies, (snapshots, policy) => {
    const stays = kept(snapshots, policy);
    for (const group of ['one', 'two']) {
      const last = newestOf(snapshots.filter((each) => each.group === group && each.status === 'complete'));
      if (last !== undefined) expect(stays).toContain(last);
    }
  });
  fc.assert(property, runs);
});

test('to keep the last so many keeps so many, the newest of each group', () => {
  const property = fc.property(candidates, fc.integer({ min: 1, max: 50 }), (snapshots, last) => {
    const complete = snapshots.map((each) => ({ ...each, status: 'complete' as const }));
    for (const group of ['one', 'two']) {
      const members = complete.filter((each) => each.group === group).toSorted((a, b) => b.startedAtMs - a.startedAtMs);
      expect(kept(complete, { last, tags: [] }).filter((each) => each.group === group).map(({ name }) => name).toSorted()).toEqual(members.slice(0, last).map(({ name }) => name).toSorted());
    }
  });
  fc.assert(property, runs);
});

test('of what was kept, the same policy keeps everything', () => {
  // Some of the snapshots are of the future.
  const nowMs = NOW_MS - 500 * HOUR_MS;
  const property = fc.property(candidates, policies, (snapshots, policy) => {
    const once = kept(snapshots, policy, nowMs);
    expect(kept(once, policy, nowMs)).toEqual(once);
  });
  fc.assert(property, runs);
});

test('a policy that asks for more keeps what one that asks for less does', () => {
  const property = fc.property(candidates, fc.constantFrom('last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'), fc.integer({ min: 1, max: 10 }), (snapshots, rule, count) => {
    expect(kept(snapshots, { [rule]: count + 1, tags: [] })).toEqual(expect.arrayContaining(kept(snapshots, { [rule]: count, tags: [] })));
  });
  fc.assert(property, runs);
});
