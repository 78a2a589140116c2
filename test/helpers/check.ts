import * as fs from 'node:fs';
import { join } from 'node:path';
import { allData, type DataShare } from '../../src/core/data-share';
import { CheckProgress } from '../../src/repository/check-progress';
import { checkRepository, type CheckCounts } from '../../src/repository/check-repository';
import { repairRepository } from '../../src/repository/repair-repository';
import type { RunStep } from '../../src/repository/run-step';
import type { TransferControl } from '../../src/storage/control';
import { fromJsonPath, pathText } from '../../src/storage/path-bytes';
import { setEntryTimes } from '../../src/storage/posix';
import type { Problem } from '../../src/storage/snapshot/check/problem';
import { snapshotNames } from '../../src/storage/snapshot/snapshot-record';
import { steps } from '../../src/storage/steps';

/** Runs steps at once, in this thread. */
export const runHere: RunStep = (step, input, control) => {
  const call = steps[step] as (input: unknown, control: TransferControl) => unknown;
  return new Promise((resolve) => resolve(call(structuredClone(input), control) as never));
};

export interface Checked {
  readonly problems: readonly Problem[];
  readonly counts: CheckCounts;
}

/** Checks a repository within this process. */
export async function check(repository: string, share: DataShare | null = allData, snapshots = snapshotNames(repository)): Promise<Checked> {
  const problems: Problem[] = [];
  const counts = await checkRepository({ repository, snapshots, share, lanes: 2 }, runHere, new CheckProgress(), (problem) => problems.push(problem));
  return { problems, counts };
}

/** `kind path`, in order, with the snapshot's name before the path. */
export function named(problems: readonly Problem[]): string[] {
  return problems.map(({ kind, snapshot, path }) => `${kind} ${snapshot}/${pathText(fromJsonPath(path))}`).sort();
}

/** Does something to what is in a directory and gives the directory its time back, as damage would. */
export function quietly(directory: string, calls: () => void): void {
  const { mtimeNs } = fs.statSync(directory, { bigint: true });
  calls();
  setEntryTimes(directory, mtimeNs);
}

/** Flips a bit of one byte and leaves everything else as it is, to the nanosecond. */
export function flip(path: string | Buffer, offset: number): void {
  const { mtimeNs } = fs.statSync(path, { bigint: true });
  const content = fs.readFileSync(path);
  content[offset] = (content[offset] ?? 0) ^ 0x10;
  const descriptor = fs.openSync(path, 'r+');
  fs.writeSync(descriptor, content);
  fs.closeSync(descriptor);
  setEntryTimes(path, mtimeNs);
}

/** Every regular file below a directory, odd names included, in a stable order. */
export function filesBelow(directory: string | Buffer): Buffer[] {
  const path = Buffer.from(directory);
  return fs
    .readdirSync(path, { encoding: 'buffer' })
    .sort((a, b) => Buffer.compare(a, b))
    .flatMap((name) => {
      const entry = Buffer.concat([path, Buffer.from('/'), name]);
      const stats = fs.lstatSync(entry);
      return stats.isDirectory() ? filesBelow(entry) : stats.isFile() ? [entry] : [];
    });
}

/** Where the copy of a source is. */
export function copyPath(repository: string, snapshot: string, path: string): string {
  return join(repository, snapshot, 'data', path);
}

/** Checks a repository and repairs it: what became of each problem, `null` for a success. */
export async function repair(repository: string): Promise<Record<string, string | null>> {
  const { problems } = await check(repository);
  const outcomes: Record<string, string | null> = {};
  await repairRepository({ repository, snapshots: snapshotNames(repository), problems }, runHere, new CheckProgress(), (problem, reason) => {
    outcomes[named([problem])[0] ?? ''] = reason;
  });
  return outcomes;
}
