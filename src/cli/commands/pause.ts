import type { BackupClient } from '../../client/backup-client';
import type { BatchProgress } from '../../core/batch-progress';
import { withClient } from '../client-session';
import { serverCommand } from '../options';

export const pauseCommand = updateCommand('pause', 'let a batch finish the chunks under way and start no more, until it is resumed', 'Paused', (client, id) => client.pause(id));

export const resumeCommand = updateCommand('resume', 'let a paused batch go on', 'Resumed', (client, id) => client.resume(id));

function updateCommand(name: string, description: string, done: string, update: (client: BackupClient, id: string) => Promise<BatchProgress>) {
  return serverCommand(name)
    .description(description)
    .argument('<id>', 'operation id or workflow id of the run, or its beginning')
    .action((id, options) =>
      withClient(options, async (client, output) => {
        const progress = await update(client, id);
        const finished = progress.backedUp + progress.unchanged + progress.failed;
        output.result(name, progress, `${done}: ${finished} of ${progress.files} files are done, ${progress.current.length} chunks are under way.`);
      }),
    );
}
