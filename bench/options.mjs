import { parseArgs } from 'node:util';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { caseNames } from './cases.mjs';

export const USAGE = `npm run bench -- [options]
  --cases A,B          of ${caseNames.join(', ')} (default: all)
  --rounds N           rounds (default: 5)
  --scale X            fraction of the files, or of the size of large ones (default: 1)
  --contenders A,B     by their keys in bench/*-contenders.mjs (default: all)
  --growth             instead: how cost grows with 10,000, 100,000 and 1,000,000 tiny files
  --seed N             of the data (default: 1)
Data is made and removed below BENCH_DIR, or the system's temporary directory.`;

/** What the command line asks for. */
export function readOptions(args = process.argv.slice(2), environment = process.env) {
  const { values } = parseArgs({
    args,
    options: {
      cases: { type: 'string', default: caseNames.join(',') },
      rounds: { type: 'string', default: '5' },
      scale: { type: 'string', default: '1' },
      contenders: { type: 'string' },
      growth: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    cases: values.cases.split(','),
    rounds: number('--rounds', values.rounds),
    scale: number('--scale', values.scale),
    contenders: values.contenders?.split(','),
    growth: values.growth,
    seed: number('--seed', values.seed),
    help: values.help,
    parentDirectory: resolve(environment.BENCH_DIR ?? tmpdir()),
  };
}

function number(name, text) {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`${name} must be a number above 0, not "${text}"`);
}
