/** A span of calendar time as restic writes it: `2y5m7d3h`. */
export interface RetentionDuration {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
}

const FORM = /^(?:(\d{1,6})y)?(?:(\d{1,6})m)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?$/;

/** Undefined for what is no duration, or one of nothing. */
export function parseRetentionDuration(text: string): RetentionDuration | undefined {
  const [, years = 0, months = 0, days = 0, hours = 0] = (FORM.exec(text) ?? []).map((part) => Number(part ?? 0));
  return years + months + days + hours === 0 ? undefined : { years, months, days, hours };
}

/** `{ months: 2, hours: 12 }` → `2m12h`. */
export function retentionDurationText({ years, months, days, hours }: RetentionDuration): string {
  return [[years, 'y'], [months, 'm'], [days, 'd'], [hours, 'h']].flatMap(([count, unit]) => (count === 0 ? [] : [`${count}${unit}`])).join('');
}

/** So long before a time, by the local calendar; minus infinity for what is before all calendars. */
export function timeBefore(timeMs: number, { years, months, days, hours }: RetentionDuration): number {
  const date = new Date(timeMs);
  // Not by the constructor, which takes the years 0 to 99 for others.
  date.setFullYear(date.getFullYear() - years, date.getMonth() - months, date.getDate() - days);
  const beforeMs = date.getTime() - hours * MS_PER_HOUR;
  return Number.isNaN(beforeMs) ? -Infinity : beforeMs;
}

const MS_PER_HOUR = 3_600_000;
