import type { BatchBackupOutput } from '../batch-models';
import { formatBytes, formatDuration } from '../core/format';
import { exitCodes, type ExitCode } from './exit-codes';

/** What the record of a batch means for a script. */
export function batchExitCode({ success, errorCode }: BatchBackupOutput): ExitCode {
  if (success) return exitCodes.done;
  return errorCode === null ? exitCodes.partly : exitCodes.failed;
}

/** The summary at the end, as the tutorial's batch printed it, and what a person wants to know besides. */
export function batchText(result: BatchBackupOutput): string[] {
  // Refused before it was planned: there is nothing to add up.
  if (result.totalFiles === 0) return headline(result);
  const bytesPerSecond = result.processingTimeMs > 0 ? (result.totalBytes / result.processingTimeMs) * 1000 : 0;
  const lines: [string, string][] = [
    ['Total', `${result.totalFiles}${result.duplicateEntries > 0 ? ` (${result.duplicateEntries} listed more than once)` : ''}`],
    ['Successful', `${result.successfulFiles}${result.unchangedFiles > 0 ? ` (${result.unchangedFiles} unchanged since the last run)` : ''}`],
    ['Failed', String(result.failedFiles)],
    ...Object.entries(result.failuresByType).map(([type, count]): [string, string] => [`  ${type}`, String(count)]),
    ['Skipped', String(result.skippedFiles)],
    ...(result.changedFiles > 0 ? [['Changed', `${result.changedFiles} grew while they were copied`] as [string, string]] : []),
    ['Bytes', `${result.totalBytes} (${formatBytes(result.totalBytes)}, ${formatBytes(Math.round(bytesPerSecond))}/s)`],
    ['Success rate', `${percentText(result)} %`],
    ['Took', formatDuration(result.processingTimeMs)],
    ['Verified', result.verifiedFrom === null ? 'no file was read back' : `by reading the copies back from the ${result.verifiedFrom}`],
  ];
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  return [...headline(result), ...lines.map(([name, value]) => `  ${`${name}:`.padEnd(width)}${value}`)];
}

/** Never rounded up to a hundred: one file of a million is one too many. */
function percentText({ successRatePercent, successfulFiles, totalFiles }: BatchBackupOutput): string {
  return successfulFiles === totalFiles ? '100' : (Math.floor(successRatePercent * 1000) / 1000).toFixed(3);
}

function headline({ success, errorCode, errorMessage, backupDir, successfulFiles, totalFiles, rollback }: BatchBackupOutput): string[] {
  if (success) return [`Backed up ${totalFiles} file${totalFiles === 1 ? '' : 's'} to ${backupDir}`];
  if (errorCode === null) return [`Backed up ${successfulFiles} of ${totalFiles} files to ${backupDir}`];
  return [`Batch to ${backupDir} failed: ${errorCode}: ${errorMessage ?? ''}`, rollback === 'notNeeded' && successfulFiles === 0 ? 'Nothing was published.' : rollbackTexts[rollback]];
}

const rollbackTexts: Record<BatchBackupOutput['rollback'], string> = {
  notNeeded: 'What was published stays.',
  performed: 'Everything was undone: the directory is as it was before.',
  failed: 'Undo did not finish; see above for what is left and where.',
};

/** Failed files by name, as many as the record holds, and where all of them are. */
export function failureLines({ failureSample, failedFiles, skippedFiles, runDirectory, createdDirectories }: BatchBackupOutput): string[] {
  const failed = failureSample.map(({ path, message, type }) => `  ${path}: ${type}: ${message}`);
  const all = failedFiles + skippedFiles > 0 && runDirectory !== '' ? [`All ${failedFiles + skippedFiles} failed and skipped files: ${runDirectory}/failures.ndjson`] : [];
  const created = createdDirectories.length > 0 ? [`Created ${createdDirectories.join(', ')}`] : [];
  return [...created, ...(failed.length > 0 ? [`Failed${failedFiles > failed.length ? `, the first ${failed.length} of ${failedFiles}` : ''}:`, ...failed] : []), ...all];
}
