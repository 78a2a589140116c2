import type { CalendarSpec, ScheduleSpec } from '@temporalio/client';
import { clockChanges, type ClockChange } from '../core/clock-changes';
import { isCronTime, parseCron, type CronTimes } from '../core/cron';

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** So far ahead changes of the clock are made up for; after that times are as Temporal has them. Zones are not known for longer. */
const AHEAD_MS = 20 * 366 * 24 * HOUR_MS;

/** Of a change so many times are put in order: what acts more often loses no night, and a spec has to stay small. */
const MOST_TIMES = 4;

/**
 * When a schedule by cron expressions acts. Temporal leaves out what a clock that is put forward jumps over, and takes
 * twice what it repeats when it is put back. Here each time is taken once: in the hours of a change those of the zone are
 * skipped, and take place by the clock as it was before. Expressions for all hours go on from hour to hour.
 */
export function cronSpec(expressions: readonly string[], timeZone: string | undefined, nowMs: number): Pick<ScheduleSpec, 'cronExpressions' | 'timezone' | 'intervals' | 'skip'> {
  if (timeZone === undefined) return { cronExpressions: [...expressions] };
  const crons = expressions.flatMap((text) => parseCron(text) ?? []);
  const corrections = clockChanges(timeZone, nowMs, nowMs + AHEAD_MS).map((change) => correctionOf(crons, change));
  return {
    cronExpressions: [...expressions],
    timezone: timeZone,
    skip: corrections.flatMap(({ hours }) => hours.map(skipOf)),
    // A calendar cannot tell a time from the same one an hour later; an interval that is as long as the time is from 1970 can.
    intervals: corrections.flatMap(({ timesMs }) => timesMs.map((timeMs) => ({ every: timeMs + BESIDE_MS }))),
  };
}

/** What is skipped is skipped to the second. */
const BESIDE_MS = SECOND_MS;

interface Correction {
  /** On the clock on the wall, as if it were UTC. */
  readonly hours: readonly number[];
  readonly timesMs: readonly number[];
}

function correctionOf(crons: readonly CronTimes[], change: ClockChange): Correction {
  const [startMs, endMs] = untrustedHours(change);
  const acts = (wallMs: number): boolean => crons.some((cron) => isCronTime(cron, wallMs));
  const concerned = between(startMs, endMs, MINUTE_MS).filter(acts);
  // What takes place anyway, in an hour that nothing is wrong with.
  const isThere = (timeMs: number): boolean => timeMs + change.offsetAfterMs >= endMs && acts(timeMs + change.offsetAfterMs);
  if (concerned.length > MOST_TIMES) return { hours: [], timesMs: firstLeftOut(concerned, change).filter((timeMs) => !isThere(timeMs)) };
  const timesMs = crons.flatMap((cron) => concerned.filter((wallMs) => isCronTime(cron, wallMs)).flatMap((wallMs) => momentsOf(wallMs, change, isRare(cron))));
  return { hours: concerned.length === 0 ? [] : between(startMs, endMs, HOUR_MS), timesMs: [...new Set(timesMs)].filter((timeMs) => !isThere(timeMs)) };
}

/** Several that are left out are made up for once, as when the server was down. */
function firstLeftOut(concerned: readonly number[], change: ClockChange): number[] {
  const [startMs, endMs] = changedSpan(change);
  const leftOut = change.offsetAfterMs > change.offsetBeforeMs ? concerned.filter((wallMs) => wallMs >= startMs && wallMs < endMs) : [];
  return leftOut.slice(0, 1).map((wallMs) => wallMs - change.offsetBeforeMs);
}

/** The times on the wall that do not exist, or come twice. */
function changedSpan({ atMs, offsetBeforeMs, offsetAfterMs }: ClockChange): [number, number] {
  return [atMs + Math.min(offsetBeforeMs, offsetAfterMs), atMs + Math.max(offsetBeforeMs, offsetAfterMs)];
}

/** Whole hours. Where a change is not one of whole hours, the server is wrong beside it too, by up to an hour. */
function untrustedHours(change: ClockChange): [number, number] {
  const [startMs, endMs] = changedSpan(change);
  const isWhole = startMs % HOUR_MS === 0 && endMs % HOUR_MS === 0;
  return isWhole ? [startMs, endMs] : [floorHour(startMs), floorHour(endMs) + 2 * HOUR_MS];
}

function floorHour(wallMs: number): number {
  return Math.floor(wallMs / HOUR_MS) * HOUR_MS;
}

/** Not in every hour: what comes every hour loses nothing by a change. */
function isRare({ hour }: CronTimes): boolean {
  return hour.size < 24;
}

/** When the clock on the wall shows a time: once, by the clock before the change, or as often as it does. */
function momentsOf(wallMs: number, change: ClockChange, once: boolean): number[] {
  const { atMs, offsetBeforeMs, offsetAfterMs } = change;
  const [startMs, endMs] = changedSpan(change);
  if (once && wallMs >= startMs && wallMs < endMs) return [wallMs - offsetBeforeMs];
  return [wallMs - offsetBeforeMs].filter((timeMs) => timeMs < atMs).concat([wallMs - offsetAfterMs].filter((timeMs) => timeMs >= atMs));
}

function skipOf(hourMs: number): CalendarSpec {
  const wall = new Date(hourMs);
  return {
    year: wall.getUTCFullYear(),
    month: MONTHS[wall.getUTCMonth()],
    dayOfMonth: wall.getUTCDate(),
    hour: wall.getUTCHours(),
    minute: '*',
    second: 0,
    comment: 'The clock is changed: these times have intervals of their own.',
  };
}

const MONTHS = ['JANUARY', 'FEBRUARY', 'MARCH', 'APRIL', 'MAY', 'JUNE', 'JULY', 'AUGUST', 'SEPTEMBER', 'OCTOBER', 'NOVEMBER', 'DECEMBER'] as const;

function between(startMs: number, endMs: number, stepMs: number): number[] {
  return Array.from({ length: Math.ceil((endMs - startMs) / stepMs) }, (_, index) => startMs + index * stepMs);
}
