/** When a cron expression acts, as the values that each field allows. Days of the month and of the week both have to fit, as for Temporal. */
export interface CronTimes {
  readonly second: ReadonlySet<number>;
  readonly minute: ReadonlySet<number>;
  readonly hour: ReadonlySet<number>;
  readonly dayOfMonth: ReadonlySet<number>;
  readonly month: ReadonlySet<number>;
  /** 0 is Sunday. */
  readonly dayOfWeek: ReadonlySet<number>;
  readonly year: ReadonlySet<number>;
}

interface Field {
  readonly name: keyof CronTimes;
  readonly least: number;
  readonly most: number;
  /** Of values that may be written as words: the first is the least. */
  readonly words?: readonly string[];
  /** Letters that tell one word from another. */
  readonly wordLength?: number;
}

const months = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december'];
const weekdays = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

const second: Field = { name: 'second', least: 0, most: 59 };
const year: Field = { name: 'year', least: 2000, most: 2100 };
const crontab: readonly Field[] = [
  { name: 'minute', least: 0, most: 59 },
  { name: 'hour', least: 0, most: 23 },
  { name: 'dayOfMonth', least: 1, most: 31 },
  { name: 'month', least: 1, most: 12, words: months, wordLength: 3 },
  { name: 'dayOfWeek', least: 0, most: 7, words: weekdays, wordLength: 2 },
];

/** By how many fields there are: those of a crontab, a year behind them, seconds before them. */
const forms: readonly (readonly Field[])[] = [crontab, [...crontab, year], [second, ...crontab, year]];

const macros: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/** Reads a cron expression as Temporal does. Undefined for what is none. */
export function parseCron(text: string): CronTimes | undefined {
  const parts = (macros[text] ?? text).trim().split(/\s+/);
  const fields = forms.find(({ length }) => length === parts.length);
  if (fields === undefined) return undefined;
  const read = fields.map((field, index) => [field.name, valuesOf(parts[index] ?? '', field)] as const);
  if (read.some(([, values]) => values === undefined)) return undefined;
  const unsaid = { second: new Set([0]), year: new Set(range(year.least, year.most, 1)) };
  return { ...unsaid, ...(Object.fromEntries(read) as Omit<CronTimes, keyof typeof unsaid>) };
}

function valuesOf(text: string, field: Field): ReadonlySet<number> | undefined {
  const lists = text.split(',').map((part) => listOf(part, field));
  if (lists.includes(undefined)) return undefined;
  const values = lists.flatMap((list) => list ?? []);
  // Sunday has two numbers.
  return new Set(field.name === 'dayOfWeek' ? values.map((value) => value % 7) : values);
}

/** Of `*`, `x`, `x-z`, each with or without `/step`. */
function listOf(part: string, field: Field): number[] | undefined {
  const [, from = '', to, step] = /^(\*|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(part) ?? [];
  const start = from === '*' ? field.least : valueOf(from, field);
  const ends = to === undefined ? (from === '*' || step !== undefined ? field.most : start) : valueOf(to, field);
  if (start === undefined || ends === undefined || ends < start || (from === '*' && to !== undefined) || Number(step) === 0) return undefined;
  return range(start, ends, Number(step ?? 1));
}

function valueOf(text: string, { least, most, words = [], wordLength = 0 }: Field): number | undefined {
  const word = /^\d/.test(text) || text.length < wordLength ? -1 : words.findIndex((each) => each.startsWith(text.toLowerCase()));
  const value = word >= 0 ? word + least : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most ? value : undefined;
}

function range(start: number, end: number, step: number): number[] {
  return Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, index) => start + index * step);
}

/** Whether a time on a clock on the wall is one of them. @param wallMs its date and time as if they were UTC */
export function isCronTime(cron: CronTimes, wallMs: number): boolean {
  const wall = new Date(wallMs);
  return (
    cron.second.has(wall.getUTCSeconds()) &&
    cron.minute.has(wall.getUTCMinutes()) &&
    cron.hour.has(wall.getUTCHours()) &&
    cron.dayOfMonth.has(wall.getUTCDate()) &&
    cron.month.has(wall.getUTCMonth() + 1) &&
    cron.dayOfWeek.has(wall.getUTCDay()) &&
    cron.year.has(wall.getUTCFullYear())
  );
}
