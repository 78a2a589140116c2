import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, join, relative } from 'node:path';
import { runNames } from './run-watch';
import type { SeededRandom } from './seeded-random';

/** Files to back up, and the list that names them. */
export interface BatchSources {
  readonly list: string;
  readonly paths: readonly string[];
  readonly sizeBytes: number;
}

export interface SourceOptions {
  readonly count: number;
  readonly leastBytes: number;
  readonly mostBytes: number;
  /** So many of them are as large as `largeBytes`. */
  readonly large?: number;
  readonly largeBytes?: number;
}

/** Files with names, bytes, modes and times of their own. */
export function makeSources(directory: string, list: string, random: SeededRandom, options: SourceOptions): BatchSources {
  const { count, leastBytes, mostBytes, large = 0, largeBytes = 0 } = options;
  fs.mkdirSync(directory, { recursive: true });
  const largest = new Set(Array.from({ length: large }, () => random.whole(0, count)));
  // A window of one block of random bytes for each file: making so many bytes anew would take longer than the backup.
  const block = createHash('shake256', { outputLength: mostBytes * 2 }).update(String(random.next())).digest();
  let total = 0;
  const paths = Array.from({ length: count }, (_, index) => {
    const path = join(directory, `file-${String(index).padStart(6, '0')}`);
    const sizeBytes = largest.has(index) ? largeBytes : random.whole(leastBytes, mostBytes + 1);
    const start = random.whole(0, block.length - mostBytes);
    const name = Buffer.from(`${path}\n`);
    fs.writeFileSync(path, sizeBytes > mostBytes ? Buffer.alloc(sizeBytes, name) : Buffer.concat([name, block.subarray(start)]).subarray(0, sizeBytes));
    fs.chmodSync(path, random.pick([0o600, 0o640, 0o644, 0o444, 0o755]));
    const seconds = random.whole(1_000_000_000, 1_700_000_000) + random.next();
    fs.utimesSync(path, seconds, seconds);
    total += sizeBytes;
    return path;
  });
  fs.writeFileSync(list, `${paths.join('\n')}\n`);
  return { list, paths, sizeBytes: total };
}

/** Where the layout `flat` puts a file. */
export function targetOf(destination: string, source: string): string {
  return join(destination, `${basename(source)}.backup`);
}

/** Everything that is wrong with a destination after a batch: targets unlike their sources, and entries too many or too few. */
export function faultsOf(destination: string, { paths }: BatchSources): string[] {
  const faults = paths.flatMap((source) => differences(source, targetOf(destination, source)));
  const expected = new Set([...paths.map((source) => basename(targetOf(destination, source))), ...recordEntries(destination)]);
  const found = fs.readdirSync(destination, { recursive: true, encoding: 'utf8' });
  faults.push(...found.filter((name) => !expected.has(name)).map((name) => `${name} is left`));
  const present = new Set(found);
  faults.push(...[...expected].filter((name) => !present.has(name)).map((name) => `${name} is missing`));
  return faults;
}

function differences(source: string, target: string): string[] {
  const copy = fs.lstatSync(target, { bigint: true, throwIfNoEntry: false });
  if (copy?.isFile() !== true) return [`${target} is no file`];
  const original = fs.lstatSync(source, { bigint: true });
  const lateNs = copy.mtimeNs - original.mtimeNs;
  return [
    ...(fs.readFileSync(target).equals(fs.readFileSync(source)) ? [] : [`${target} has other bytes`]),
    ...(copy.mode === original.mode ? [] : [`${target} has mode ${copy.mode.toString(8)}`]),
    ...(lateNs === 0n ? [] : [`${target} has a time that is off by ${lateNs} ns`]),
  ];
}

/** What may stay of a single run, and nothing else: directories included. */
function recordEntries(destination: string): string[] {
  const [run = 'no run'] = runsOf(destination);
  const directories = ['.file-backup', '.file-backup/runs', `.file-backup/runs/${run}`];
  return [...directories, ...runNames.records.map((name) => `.file-backup/runs/${run}/${name}`)];
}

function runsOf(destination: string): string[] {
  const runs = join(destination, '.file-backup', 'runs');
  return fs.existsSync(runs) ? fs.readdirSync(runs) : [];
}

/** What a batch came to, fit for comparing two of them: the record without names and times of the run, and every target. */
export function endOf(destination: string): { readonly counts: unknown; readonly manifest: readonly string[]; readonly failures: string; readonly targets: Readonly<Record<string, string>> } {
  const [run = 'no run'] = runsOf(destination);
  const record = (name: string): string => fs.readFileSync(join(destination, '.file-backup', 'runs', run, name), 'utf8');
  const { summary: counts } = JSON.parse(record('summary.json')) as { summary: unknown };
  const lines = record('manifest.ndjson').trimEnd().split('\n').map((line) => JSON.parse(line) as { source: string; target: string; sha256: string });
  return { counts, manifest: lines.map(({ source, target, sha256 }) => `${sha256} ${source} → ${target}`).sort(), failures: record('failures.ndjson'), targets: targetsIn(destination) };
}

function targetsIn(destination: string): Record<string, string> {
  const targets = fs.readdirSync(destination, { recursive: true, encoding: 'utf8', withFileTypes: true }).filter((entry) => entry.isFile() && !entry.parentPath.includes('.file-backup'));
  return Object.fromEntries(targets.map(({ parentPath, name }) => {
    const path = join(parentPath, name);
    const { mode, mtimeNs } = fs.lstatSync(path, { bigint: true });
    return [relative(destination, path), `${mode.toString(8)} ${mtimeNs} ${createHash('sha256').update(fs.readFileSync(path)).digest('hex')}`];
  }));
}
