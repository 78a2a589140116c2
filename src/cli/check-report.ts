import type { DataShare } from '../core/data-share';
import { formatBytes } from '../core/format';
import type { CheckCounts } from '../repository/check-repository';
import { fromJsonPath, pathText } from '../storage/path-bytes';
import { problemKinds, type Problem } from '../storage/snapshot/check/problem';

/** What a check is about to do, in words. */
export function whatIsChecked(snapshots: number, share: DataShare | null): string {
  const what = `check records, files and metadata of ${plural(snapshots, 'snapshot')}`;
  if (share === null) return `${what}; file contents are not read (--read-data)`;
  return share.count === share.of ? `${what}, and read all files` : `${what}, and read ${share.count} of ${share.of} parts of the files`;
}

/** One line of what is wrong with one thing. */
export function problemLine(problem: Problem): string {
  return `${problem.kind}: ${place(problem)}: expected ${problem.expected}, found ${problem.found}`;
}

/** One line of what became of it. */
export function outcomeLine(problem: Problem, reason: string | null): string {
  return reason === null ? `repaired: ${place(problem)}` : `not repaired: ${place(problem)}: ${reason}`;
}

/** As a path below the repository. */
function place({ snapshot, path }: Problem): string {
  return `${snapshot}/${pathText(fromJsonPath(path))}`;
}

/**
 * The end of a check.
 * @param repaired null when nothing was to be repaired
 */
export function checkText({ entries, snapshots, readFiles, readBytes, readFrom, problems, kinds, gone }: CheckCounts, repaired: number | null): string[] {
  const read = readFrom === null ? '' : `, ${plural(readFiles, 'file')} with ${formatBytes(readBytes)} read from the ${readFrom}`;
  const looked = `${plural(snapshots, 'snapshot')} with ${plural(entries, 'entry', 'entries')} checked${read}${gone.length === 0 ? '' : `; ${plural(gone.length, 'snapshot was', 'snapshots were')} removed meanwhile`}`;
  if (problems === 0) return [looked, 'no errors were found'];
  const each = problemKinds.filter((kind) => kinds[kind] > 0).map((kind) => `${kinds[kind]} ${kind}`);
  const end = repaired === null ? [] : [repaired === problems ? 'all of it was repaired' : `${repaired} repaired, ${problems - repaired} not`];
  return [looked, `${plural(problems, 'error was', 'errors were')} found: ${each.join(', ')}`, ...end];
}

function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
