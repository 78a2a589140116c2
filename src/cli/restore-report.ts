import { formatBytes, formatDuration } from '../core/format';
import type { RestoreOutput } from '../restore-models';
import { exitCodes, type ExitCode } from './exit-codes';

/** What the record of a restore means for a script. */
export function restoreExitCode({ success, errorCode }: RestoreOutput): ExitCode {
  if (success) return exitCodes.done;
  if (errorCode === null) return exitCodes.partly;
  return errorCode === 'RepositoryNotFound' || errorCode === 'SnapshotNotFound' ? exitCodes.notFound : exitCodes.failed;
}

/** The summary at the end. */
export function restoreText(result: RestoreOutput): string[] {
  const leftOut = leftOutText(result.rightsLeftOut);
  const { snapshot, target, restoredEntries, unchangedEntries, failedEntries, skippedEntries, restoredBytes, processingTimeMs, verifiedFrom, errorCode, errorMessage } = result;
  const lines: [string, string][] = [
    ['Restored', `${restoredEntries} files/dirs (${formatBytes(restoredBytes)}) in ${formatDuration(processingTimeMs)}`],
    ...(unchangedEntries > 0 ? [['Unchanged', `${unchangedEntries} were as recorded already`] as [string, string]] : []),
    ...(skippedEntries > 0 ? [['Skipped', skippedText(result)] as [string, string]] : []),
    ...(failedEntries > 0 ? [['Failed', String(failedEntries)] as [string, string]] : []),
    ...(leftOut === undefined ? [] : [['Rights', leftOut] as [string, string]]),
    ...(verifiedFrom === null ? [] : [['Verified', `by reading the copies back from the ${verifiedFrom}`] as [string, string]]),
  ];
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  const figures = lines.map(([name, value]) => `  ${`${name}:`.padEnd(width)}${value}`);
  if (errorCode === null) return [`Restored snapshot ${snapshot} to ${target}`, ...figures];
  const failed = `Restore to ${target} failed: ${errorCode}: ${errorMessage ?? ''}`;
  return result.entries === 0 ? [failed, 'Nothing was written.'] : [failed, 'What is restored stays.', ...figures];
}

/** What was recorded and is not restored unless it is asked for; undefined when there is nothing of the kind. */
export function leftOutText(entries: number): string | undefined {
  if (entries === 0) return undefined;
  return `${entries} ${entries === 1 ? 'entry has' : 'entries have'} another owner, or set-user-id, set-group-id or sticky bits, on record: left out; --with-owners restores them`;
}

function skippedText({ skippedEntries, skippedByReason }: RestoreOutput): string {
  return `${skippedEntries} (${Object.entries(skippedByReason).map(([reason, count]) => `${count} ${reasons[reason] ?? reason}`).join(', ')})`;
}

const reasons: Readonly<Record<string, string>> = {
  exists: 'exist, and are not to be overwritten',
  notInSnapshot: 'could not be backed up',
  socket: 'sockets',
  device: 'devices',
  reserved: 'in the place of a restore\'s own files',
  repository: 'inside a repository that is there',
  cancelled: 'the restore did not get to',
};

/** What failed or cannot be restored, by name. */
export function restoreNotes({ failureSample, failedEntries, failuresPath, skippedSample }: RestoreOutput): string[] {
  return [
    ...skippedSample.map(({ path, reason }) => `Skipped ${path}: ${reason}`),
    ...(failureSample.length > 0 ? [`Failed${failedEntries > failureSample.length ? `, the first ${failureSample.length} of ${failedEntries}` : ''}:`] : []),
    ...failureSample.map(({ path, type, message }) => `  ${path}: ${type}: ${message}`),
    ...(failuresPath === null ? [] : [`All of them: ${failuresPath}`]),
  ];
}
