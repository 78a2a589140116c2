import { withClient } from '../client-session';
import { formatBytes } from '../../core/format';
import { serverCommand } from '../options';

export const statsCommand = serverCommand('stats')
  .description('totals over all backups that the server keeps')
  .action((options) =>
    withClient(options, async (client, output) => {
      const statistics = await client.statistics();
      const text = [
        `Total:        ${statistics.totalBackups}`,
        `Successful:   ${statistics.successfulBackups}`,
        `Failed:       ${statistics.failedBackups}`,
        `Running:      ${statistics.runningBackups}`,
        `Batches:      ${statistics.totalBatches} (${statistics.successfulBatches} successful, ${statistics.partialBatches} partial, ${statistics.failedBatches} failed), ${statistics.runningBatches} running`,
        `Batch files:  ${statistics.batchFilesBackedUp} backed up, ${statistics.batchFilesFailed} failed`,
        `Snapshots:    ${statistics.totalSnapshots} (${statistics.successfulSnapshots} complete, ${statistics.partialSnapshots} partial, ${statistics.failedSnapshots} failed), ${statistics.runningSnapshots} running`,
        `Bytes:        ${statistics.totalBytesBackedUp} (${formatBytes(statistics.totalBytesBackedUp)})`,
        `Success rate: ${(Math.floor(statistics.successRatePercent * 10) / 10).toFixed(1)} %`,
      ];
      output.result('stats', statistics, text);
    }),
  );
