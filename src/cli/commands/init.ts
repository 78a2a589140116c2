import { initRepository } from '../../storage/snapshot/repository';
import { localCommand } from '../local-command';
import { createOutput } from '../output';
import { canonicalDirectory } from '../paths';

export const initCommand = localCommand('init')
  .description('make a directory a repository of snapshots; the directory must be empty, or missing below one that is there')
  .argument('<repository>', 'directory')
  .action((directory, options) => {
    const path = canonicalDirectory(directory);
    const { id } = initRepository(path);
    createOutput(options.json).result('initialized', { repository: path, id }, `Made repository ${id.slice(0, 8)} in ${path}`);
  });
