import { formatBytes } from '../../core/format';
import { withClient } from '../client-session';
import { lostRunLine, lostRuns } from '../lost-runs';
import { serverCommand, wholeNumber } from '../options';
import { tableLines } from '../table';

export const runsCommand = serverCommand('runs')
  .description('list backups, restores and times of schedules, newest first')
  .option('--limit <number>', 'how many', wholeNumber('--limit', 1, 100_000), 20)
  .action((options) =>
    withClient(options, async (client, output, server) => {
      const runs = await client.runs(options.limit);
      const rows = runs.map((run) => [
        run.startedAt.slice(0, 19).replace('T', ' '),
        run.kind,
        run.state,
        formatBytes(run.sizeBytes),
        run.sourcePath,
        run.backupPath,
        run.operationId || run.workflowId,
      ]);
      const table = rows.length === 0 ? 'No backups yet.' : tableLines(['Started (UTC)', 'Kind', 'State', 'Size', 'Source', 'Target', 'Operation'], rows);
      const lost = await lostRuns(client, server);
      output.result('runs', { runs, lost }, table);
      if (!output.isJson && lost.length > 0) output.note(lost.map((each) => lostRunLine(each, Date.now())));
    }),
  );
