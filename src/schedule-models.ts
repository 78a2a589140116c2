import { z } from 'zod';
import { isTimeZone } from './core/clock-changes';
import { parseCron } from './core/cron';
import { parseDataShare } from './core/data-share';
import { parseRetentionDuration } from './core/retention-duration';
import { SnapshotInput } from './snapshot-models';

const keepCount = z.int().min(1).max(1_000_000).optional();

/** Which snapshots stay, as the options of `file-backup prune` say it. */
export const KeepRules = z.strictObject({
  last: keepCount,
  hourly: keepCount,
  daily: keepCount,
  weekly: keepCount,
  monthly: keepCount,
  yearly: keepCount,
  /** As `2y5m7d3h`. */
  within: z.string().refine((text) => parseRetentionDuration(text) !== undefined, 'must be a duration such as 2y5m7d3h').optional(),
  tags: z.array(z.string().min(1).max(100)).max(20).default([]),
});
export type KeepRules = z.output<typeof KeepRules>;

/** What a schedule does each time: a snapshot, and what follows it. */
export const ScheduledInput = z.strictObject({
  /** Each time gets an operation id of its own. */
  snapshot: SnapshotInput.omit({ operationId: true }),
  /** Prune the repository of this host's snapshots of these sources afterwards. */
  prune: KeepRules.nullable().default(null),
  /** Check the repository afterwards. */
  check: z
    .strictObject({
      /** `100%`, `5%` of the data, another part each day, or `3/7`; null for structure alone. */
      readData: z.string().refine((text) => parseDataShare(text, 0) !== undefined, 'must be a share such as 5% or 3/7').nullable().default(null),
    })
    .nullable()
    .default(null),
});
export type ScheduledInput = z.output<typeof ScheduledInput>;

const duration = (least: number, most: number) => z.int().min(least).max(most);
const DAY_MS = 86_400_000;

/** When a schedule acts. */
export const ScheduleTiming = z
  .strictObject({
    /** Five fields as in a crontab, in the time zone. */
    cron: z.array(z.string().max(200).refine((text) => parseCron(text) !== undefined, 'must be five fields as in a crontab, such as 30 2 * * *')).max(10).default([]),
    intervalMs: duration(1000, 366 * DAY_MS).optional(),
    /** UTC unless given, as `Europe/Berlin`. */
    timeZone: z.string().max(100).refine(isTimeZone, 'must be the name of a time zone, such as Europe/Berlin').optional(),
    /** Each time is put off by a random part of it. */
    jitterMs: duration(0, DAY_MS).default(0),
    /** What was missed while the server was down is made up for when it is no longer ago than this; several missed times are one. */
    catchUpMs: duration(10_000, 366 * DAY_MS).default(DAY_MS / 2),
    /** Pause after a time that failed. */
    pauseOnFailure: z.boolean().default(false),
  })
  .refine(({ cron, intervalMs }) => (cron.length > 0) !== (intervalMs !== undefined), { path: ['cron'], message: 'give either a cron expression or an interval' });
export type ScheduleTiming = z.output<typeof ScheduleTiming>;

const NAME = /^[\w.-]+$/;

/** A schedule that is to be created. */
export const ScheduleInput = z.strictObject({
  name: z.string().max(100).regex(NAME, 'must be letters, digits, dots, dashes and underscores'),
  timing: ScheduleTiming,
  action: ScheduledInput,
  /** Created paused. */
  paused: z.boolean().default(false),
});
export type ScheduleInput = z.output<typeof ScheduleInput>;
export type ScheduleRequest = z.input<typeof ScheduleInput>;
