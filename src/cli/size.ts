import { UsageError } from './exit-codes';

const UNITS = ['', 'K', 'M', 'G', 'T'];

/** Reads `500`, `10K`, `1.5G`: units of 1024, as restic and rsync take them. */
export function sizeInBytes(name: string): (text: string) => number {
  return (text) => {
    const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text) ?? [];
    const power = UNITS.indexOf(unit.toUpperCase());
    if (number === undefined) throw new UsageError(`${name} must be a size such as 500K or 2G, not "${text}"`);
    return Math.floor(Number(number) * 1024 ** power);
  };
}
