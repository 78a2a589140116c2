import { initRepository } from '../../storage/snapshot/repository';
import { acceptAnyDestination } from '../../storage/trust';
import { localCommand } from '../local-command';
import { trustDestinationOption } from '../options';
import { createOutput } from '../output';
import { canonicalDirectory } from '../paths';

export const initCommand = localCommand('init')
  .description('make a directory a repository of snapshots; the directory must be empty, or missing below one that is there')
  .argument('<repository>', 'directory')
  .option(...trustDestinationOption)
  .action((directory, options) => {
    acceptAnyDestination(options.trustDestination);
    const path = canonicalDirectory(directory);
    const { id } = initRepository(path);
    createOutput(options.json).result('initialized', { repository: path, id }, `Made repository ${id.slice(0, 8)} in ${path}`);
  });
