import { formatBytes, formatDuration, printablePath } from '../core/format';
import type { FileBackupStatus } from '../core/status';
import type { FileBackupOutput } from '../models';

/** The run's page in the Web UI, as markdown. */
export function renderDetails(status: FileBackupStatus, output: FileBackupOutput | null): string {
  const rows: [string, string][] = [
    ['Source', code(status.sourcePath)],
    ['Target', code(status.backupPath)],
    ['State', output === null ? `${status.step} (${status.state})` : status.state],
  ];
  if (status.waitingFor !== null) rows.push(['Waiting', status.waitingFor]);
  if (status.sizeBytes > 0) rows.push(['Size', formatBytes(status.sizeBytes)]);
  if (status.retryCount > 0) rows.push(['Retries', String(status.retryCount)]);
  if (output !== null) rows.push(...outcomeRows(output));
  return rows.map(([name, value]) => `- **${name}**: ${oneLine(value)}`).join('\n');
}

function outcomeRows(output: FileBackupOutput): [string, string][] {
  const rows: [string, string][] = [];
  if (output.sha256 !== null) rows.push(['SHA-256', code(output.sha256)]);
  if (output.verifiedFrom !== null) rows.push(['Verified', `read back from the ${output.verifiedFrom}`]);
  if (output.errorCode !== null) rows.push(['Failure', `**${output.errorCode}**: ${output.errorMessage ?? ''}`]);
  rows.push(['Rollback', rollbackText(output)], ['Took', formatDuration(output.processingTimeMs)]);
  for (const warning of output.warnings) rows.push(['Warning', warning]);
  return rows;
}

function rollbackText({ rollback }: FileBackupOutput): string {
  const steps = rollback.steps.map(({ step, status, message }) => (message === null ? `${step} ${status}` : `${step} ${status}: ${message}`));
  return [rollback.status, ...steps].join('; ');
}

function code(text: string): string {
  return `\`${printablePath(text).replaceAll('`', "'")}\``;
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ');
}
