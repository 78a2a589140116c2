import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { parseRetentionDuration } from '../core/retention-duration';
import { UsageError } from './exit-codes';
import { repeated, wholeNumber } from './options';

const count = (name: string): ((text: string) => number) => wholeNumber(name, 1, 1_000_000);

/** Adds the options that say which snapshots stay. Their types are not inferred: that takes the compiler minutes. */
export function addKeepOptions(command: CommandUnknownOpts): void {
  command
    .option('--keep-last <number>', 'keep so many of the newest', count('--keep-last'))
    .option('--keep-hourly <number>', 'keep the newest of each of so many hours that have any', count('--keep-hourly'))
    .option('--keep-daily <number>', 'the same of days', count('--keep-daily'))
    .option('--keep-weekly <number>', 'the same of ISO weeks', count('--keep-weekly'))
    .option('--keep-monthly <number>', 'the same of months', count('--keep-monthly'))
    .option('--keep-yearly <number>', 'the same of years', count('--keep-yearly'))
    .option('--keep-within <duration>', 'keep what is younger than this, counted from the newest, as 2y5m7d3h', durationText)
    .option('--keep-tag <tag>', 'keep those with this tag; may be repeated', repeated, []);
}

/** What these options have parsed. */
interface KeepOptions {
  readonly keepLast?: number;
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
  readonly keepWithin?: string;
  readonly keepTag: string[];
}

/** The rules that these options make. */
export function keepRulesOf(command: CommandUnknownOpts) {
  const { keepLast: last, keepHourly: hourly, keepDaily: daily, keepWeekly: weekly, keepMonthly: monthly, keepYearly: yearly, keepWithin: within, keepTag: tags } = command.opts() as unknown as KeepOptions;
  return { last, hourly, daily, weekly, monthly, yearly, within, tags };
}

function durationText(text: string): string {
  if (parseRetentionDuration(text) !== undefined) return text;
  throw new UsageError(`--keep-within must be a duration such as 2y5m7d3h, not "${text}"`);
}
