import { formatBytes, formatDuration } from '../core/format';
import type { SnapshotOutput } from '../snapshot-models';
import type { SnapshotPreview } from '../storage/snapshot/preview-snapshot';
import { exitCodes, type ExitCode } from './exit-codes';
import { futureNotes } from './snapshot-table';

/** What the record of a snapshot means for a script. */
export function snapshotExitCode({ success, status, errorCode }: SnapshotOutput): ExitCode {
  if (success) return exitCodes.done;
  if (status === 'partial') return exitCodes.partly;
  return errorCode === 'RepositoryNotFound' || errorCode === 'SnapshotNotFound' ? exitCodes.notFound : exitCodes.failed;
}

/** The summary at the end, in the shape that restic's users know. */
export function snapshotText(result: SnapshotOutput): string[] {
  const { snapshot, parent, files, newFiles, changedFiles, unchangedFiles, directories, symlinks, specials, totalBytes, copiedBytes, processingTimeMs, verifiedFrom } = result;
  if (snapshot === null) return failureText(result);
  const others = [...(symlinks > 0 ? [`${symlinks} symbolic link${symlinks === 1 ? '' : 's'}`] : []), ...(specials > 0 ? [`${specials} special file${specials === 1 ? '' : 's'}, recorded without a copy`] : [])];
  return [
    parent === null ? 'no parent snapshot: all files were read' : `using parent snapshot ${parent}`,
    '',
    filesLine(newFiles, changedFiles, unchangedFiles),
    `Dirs:        ${[`${directories}`, ...others].join(', ')}`,
    `Added to the repository: ${formatBytes(copiedBytes)}${verifiedFrom === null ? '' : `, verified by reading it back from the ${verifiedFrom}`}`,
    '',
    `processed ${files} files, ${formatBytes(totalBytes)} in ${formatDuration(processingTimeMs)}`,
    `snapshot ${snapshot.slice(-8)} saved as ${snapshot}${result.status === 'partial' ? ` (partial: ${result.failedEntries} failed)` : ''}`,
  ];
}

function filesLine(newFiles: number, changedFiles: number, unchangedFiles: number): string {
  const column = (count: number): string => String(count).padStart(6);
  return `Files:  ${column(newFiles)} new, ${column(changedFiles)} changed, ${column(unchangedFiles)} unmodified`;
}

function failureText({ repository, errorCode, errorMessage, rollback }: SnapshotOutput): string[] {
  const ends = { notNeeded: 'Nothing was written.', performed: 'Everything was undone: the repository is as it was before.', failed: 'Undo did not finish; a worker\'s janitor removes the rest.' };
  return [`Snapshot to ${repository} failed: ${errorCode}: ${errorMessage ?? ''}`, ends[rollback]];
}

/** What a person should know although it went well, and what failed by name. */
export function snapshotNotes({ leftOut, idleExcludes, notKept, damagedCopies, futureSnapshots, vanishedFiles, excludedEntries, failureSample, failedEntries, snapshot, repository }: SnapshotOutput): string[] {
  const more = failedEntries > failureSample.length && snapshot !== null ? [`All ${failedEntries} failed entries: ${repository}/${snapshot}/metadata.ndjson ("state":"failed")`] : [];
  return [
    ...leftOut.map((path) => `Left out by itself: ${path}`),
    ...(excludedEntries > 0 ? [`Left out on request: ${excludedEntries} entries`] : []),
    ...idleNotes(idleExcludes),
    ...(vanishedFiles > 0 ? [`Gone when their turn came: ${vanishedFiles} files`] : []),
    ...damageNotes(damagedCopies, repository),
    ...futureNotes(futureSnapshots),
    ...(notKept.length > 0 ? [`Not kept: ${notKept.map((what) => unkept[what] ?? what).join(', ')}`] : []),
    ...(failureSample.length > 0 ? [`Failed${failedEntries > failureSample.length ? `, the first ${failureSample.length} of ${failedEntries}` : ''}:`] : []),
    ...failureSample.map(({ path, type, message }) => `  ${path}: ${type}: ${message}`),
    ...more,
  ];
}

/** A pattern that is mistyped, or written for another place, does nothing: one would not notice. */
export function idleNotes(patterns: readonly string[]): string[] {
  return patterns.map((pattern) => `Left nothing out: ${pattern}`);
}

function damageNotes({ count, sample }: SnapshotOutput['damagedCopies'], repository: string): string[] {
  if (count === 0) return [];
  const more = count > sample.length ? `, the first ${sample.length} of ${count}` : '';
  return [`Damaged in an earlier snapshot, copied afresh into this one${more} (repair the others by "check ${repository} --read-data --repair"):`, ...sample.map((copy) => `  ${copy}`)];
}

const unkept: Readonly<Record<string, string>> = { xattrs: 'extended attributes and access control lists', holes: 'holes of sparse files (they are stored as zeros)' };

/** What `--dry-run` says. */
export function previewText({ parent, newFiles, changedFiles, unchangedFiles, directories, others, totalBytes, copiedBytes }: SnapshotPreview): string[] {
  return [
    parent === null ? 'no parent snapshot: all files would be read' : `using parent snapshot ${parent}`,
    '',
    filesLine(newFiles, changedFiles, unchangedFiles),
    `Dirs:        ${directories}${others > 0 ? `, ${others} links and special files` : ''}`,
    `Would add to the repository: ${formatBytes(copiedBytes)}`,
    '',
    `would process ${newFiles + changedFiles + unchangedFiles} files, ${formatBytes(totalBytes)}`,
  ];
}
