import { UsageError } from './exit-codes';

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads `90s`, `10m`, `12h`, `1d` as milliseconds. */
export function durationMs(name: string): (text: string) => number {
  return (text) => {
    const [, number, unit = ''] = /^(\d+)([smhd])$/.exec(text) ?? [];
    const unitMs = UNITS[unit];
    if (number === undefined || unitMs === undefined) throw new UsageError(`${name} must be a duration such as 90s, 10m, 12h or 1d, not "${text}"`);
    return Number(number) * unitMs;
  };
}
