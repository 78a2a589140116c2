import type { DataShare } from '../core/data-share';
import { formatBytes, printablePath } from '../core/format';
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
export function problemLine({ kind, snapshot, path, expected, found }: Problem): string {
  return printablePath(`${kind}: ${snapshot}/${pathText(fromJsonPath(path))}: expected ${expected}, found ${found}`);
}

/** The end of a check. */
export function checkText({ entries, snapshots, readFiles, readBytes, readFrom, problems, kinds }: CheckCounts): string {
  const read = readFrom === null ? '' : `, ${plural(readFiles, 'file')} with ${formatBytes(readBytes)} read from the ${readFrom}`;
  const looked = `${plural(snapshots, 'snapshot')} with ${plural(entries, 'entry', 'entries')} checked${read}`;
  if (problems === 0) return `${looked}\nno errors were found`;
  const each = problemKinds.filter((kind) => kinds[kind] > 0).map((kind) => `${kinds[kind]} ${kind}`);
  return `${looked}\n${plural(problems, 'error was', 'errors were')} found: ${each.join(', ')}`;
}

function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
