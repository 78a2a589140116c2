import { withClient } from '../client-session';
import { serverCommand } from '../options';

export const cancelCommand = serverCommand('cancel')
  .description('stop a backup and undo what it did')
  .argument('<id>', 'operation id or workflow id')
  .action((id, options) =>
    withClient(options, async (client, output) => {
      const run = await client.cancel(id);
      const text = run.status === 'RUNNING' ? `Cancellation of ${run.operationId} requested; it ends when its worker has undone it.` : `${run.operationId} had ended already (${run.status}).`;
      output.result('cancel', { ...run, requested: run.status === 'RUNNING' }, text);
    }),
  );
