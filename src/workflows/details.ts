import { formatBytes, formatDuration } from '../core/format';
import { codeSpan } from '../core/markdown';
import type { FileBackupStatus } from '../core/status';
import type { FileBackupOutput } from '../models';

/** The run's page in the Web UI, as markdown. What is not a word of this program's own is a code span. */
export function renderDetails(status: FileBackupStatus, output: FileBackupOutput | null): string {
  const rows: [string, string][] = [
    ['Source', codeSpan(status.sourcePath)],
    ['Target', codeSpan(status.backupPath)],
    ['State', output === null ? `${status.step} (${status.state})` : status.state],
  ];
  if (status.waitingFor !== null) rows.push(['Waiting', codeSpan(status.waitingFor)]);
  if (status.sizeBytes > 0) rows.push(['Size', formatBytes(status.sizeBytes)]);
  if (status.retryCount > 0) rows.push(['Retries', String(status.retryCount)]);
  if (output !== null) rows.push(...outcomeRows(output));
  return rows.map(([name, value]) => `- **${name}**: ${value}`).join('\n');
}

function outcomeRows(output: FileBackupOutput): [string, string][] {
  const rows: [string, string][] = [];
  if (output.sha256 !== null) rows.push(['SHA-256', codeSpan(output.sha256)]);
  if (output.verifiedFrom !== null) rows.push(['Verified', `read back from the ${output.verifiedFrom}`]);
  if (output.errorCode !== null) rows.push(['Failure', `**${output.errorCode}**: ${codeSpan(output.errorMessage ?? '')}`]);
  rows.push(['Rollback', rollbackText(output)], ['Took', formatDuration(output.processingTimeMs)]);
  for (const warning of output.warnings) rows.push(['Warning', codeSpan(warning)]);
  return rows;
}

function rollbackText({ rollback }: FileBackupOutput): string {
  const steps = rollback.steps.map(({ step, status, message }) => (message === null ? `${step} ${status}` : `${step} ${status}: ${codeSpan(message)}`));
  return [rollback.status, ...steps].join('; ');
}
