import { roomText, type BatchProgress } from '../core/batch-progress';
import { formatBytes, formatDuration } from '../core/format';
import { codeSpan } from '../core/markdown';

/** The batch's page in the Web UI, as markdown. What is not a word of this program's own is a code span. */
export function renderBatch(progress: BatchProgress, backupDir: string): string {
  const done = progress.backedUp + progress.unchanged + progress.failed;
  const percent = progress.files === 0 ? 0 : Math.floor((done / progress.files) * 100);
  const lines = [
    `- **Destination**: ${codeSpan(backupDir)}`,
    `- **State**: ${progress.state}${progress.waitingFor === null ? '' : ` (${codeSpan(progress.waitingFor)})`}`,
    `- **Files**: ${done} of ${progress.files} (${percent} %): ${progress.backedUp} backed up, ${progress.unchanged} unchanged, ${progress.failed} failed`,
    `- **Bytes**: ${formatBytes(progress.copiedBytes + progress.unchangedBytes)} of ${formatBytes(progress.sizeBytes)}${rateText(progress)}`,
    `- **Chunks**: ${progress.finishedChunks} of ${progress.chunks}, ${progress.current.length} under way`,
  ];
  const space = roomText(progress);
  if (space !== undefined) lines.push(`- **Space**: ${space} before the first copy`);
  for (const [type, count] of Object.entries(progress.failuresByType)) lines.push(`- ${codeSpan(type)}: ${count}`);
  for (const { path, type } of progress.sample.slice(0, 5)) lines.push(`  - ${codeSpan(path)}: ${codeSpan(type)}`);
  return lines.join('\n');
}

function rateText({ state, bytesPerSecond, remainingMs }: BatchProgress): string {
  if (state !== 'running' || remainingMs === null) return '';
  return `, ${formatBytes(bytesPerSecond)}/s, about ${formatDuration(remainingMs)} to go`;
}
