import { formatBytes, printablePath } from '../../core/format';
import type { BackupDescription } from '../../client/runs';
import { withClient } from '../client-session';
import { serverCommand } from '../options';

export const statusCommand = serverCommand('status')
  .description('show one backup; needs no worker')
  .argument('<id>', 'operation id or workflow id')
  .action((id, options) =>
    withClient(options, async (client, output, server) => {
      const run = await client.describe(id);
      const webUi = server.webUi(run);
      output.result('status', { ...run, webUi }, describe(run, webUi));
    }),
  );

function describe(run: BackupDescription, webUi: string | undefined): string {
  const lines: [string, string | undefined][] = [
    ['Operation', run.operationId],
    ['State', run.state === undefined ? run.status : `${run.state} (${run.status})`],
    ['Source', printablePath(run.sourcePath)],
    ['Target', printablePath(run.backupPath)],
    ['Size', run.sizeBytes > 0 ? formatBytes(run.sizeBytes) : undefined],
    ['Started', run.startedAt],
    ['Ended', run.closedAt],
    ['Workflow', run.workflowId],
    ['Queue', run.taskQueue],
    ...run.pendingSteps.map(({ step, attempt, lastFailure }): [string, string] => ['Step', `${step}, attempt ${attempt}${lastFailure === undefined ? '' : `, last failure: ${printablePath(lastFailure)}`}`]),
    ['Web UI', webUi],
  ];
  return lines.flatMap(([name, value]) => (value === undefined ? [] : [`${`${name}:`.padEnd(11)}${value}`])).join('\n');
}
