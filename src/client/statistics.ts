import type { Client } from '@temporalio/client';
import { summarize, type BackupStatistics, type BatchCounts } from '../core/statistics';
import { batchRuns, fileRuns, snapshotRuns } from './run-kinds';
import { NOT_AUTHENTIC } from './run-state';
import { runOf } from './runs';

/** Totals over the runs that the server still keeps: they survive restarts of everything but the server's retention. */
export async function statistics(client: Client): Promise<BackupStatistics> {
  const [files, batches, snapshots] = await Promise.all([countsOf(client, fileRuns), sumsOf(client, batchRuns), sumsOf(client, snapshotRuns)]);
  // Visibility can count but not add up.
  for await (const info of client.workflow.list({ query: `${fileRuns} AND ExecutionStatus = 'Completed'`, pageSize: 1000 })) {
    const { state, sizeBytes } = runOf(client, info);
    files.bytes += sizeBytes;
    if (state === NOT_AUTHENTIC) countAsFailed(files);
  }
  return summarize(files, batches, snapshots);
}

/** Of runs of many files, which say in their memo what they came to. */
async function sumsOf(client: Client, query: string): Promise<BatchCounts> {
  const sums = { ...(await countsOf(client, query)), partial: 0, filesBackedUp: 0, filesFailed: 0 };
  for await (const info of client.workflow.list({ query: `${query} AND ExecutionStatus != 'Running'`, pageSize: 1000 })) {
    const { totals, state } = runOf(client, info);
    if (state === NOT_AUTHENTIC) countAsFailed(sums);
    sums.bytes += totals?.totalBytes ?? 0;
    sums.filesBackedUp += totals?.successfulFiles ?? 0;
    sums.filesFailed += totals?.failedFiles ?? 0;
    if (info.status.name === 'COMPLETED' && totals !== undefined && totals.successfulFiles < totals.totalFiles) sums.partial += 1;
  }
  return sums;
}

async function countsOf(client: Client, query: string): Promise<{ successful: number; failed: number; running: number; bytes: number }> {
  const counts = { successful: 0, failed: 0, running: 0, bytes: 0 };
  const { groups } = await client.workflow.count(`${query} GROUP BY ExecutionStatus`);
  for (const { count, groupValues } of groups) {
    const status = String(groupValues[0]);
    counts[status === 'Completed' ? 'successful' : status === 'Running' || status === 'Paused' ? 'running' : 'failed'] += count;
  }
  return counts;
}

function countAsFailed(counts: { successful: number; failed: number }): void {
  counts.successful -= 1;
  counts.failed += 1;
}
