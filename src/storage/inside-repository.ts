import { dirname, join } from 'node:path';
import { isErrno, StorageError } from './errors';
import { lstatIfPresent } from './file-stat';
import { joinPath, type PathBytes } from './path-bytes';

/** Directory that holds what is ours in destinations and repositories. */
export const OWN_DIRECTORY = '.file-backup';

/** The file that makes a directory a repository. */
const MARK = `${OWN_DIRECTORY}/repository.json`;

export function markOf(repository: string): string {
  return join(repository, MARK);
}

/**
 * Refuses a directory that is a repository or lies in one, however deep: what is published there is never changed, and
 * shared by hard links. Looks from the directory up to the root of all, since a repository may hold the worker's own root.
 * @param directory need not be there yet; without links in its path
 * @throws StorageError `TargetInsideRepository`
 */
export function refuseInsideRepository(directory: string): void {
  const repository = repositoryAround(directory);
  if (repository === undefined) return;
  throw new StorageError('TargetInsideRepository', 'destination', directory, `${directory} lies inside the repository ${repository}`, { found: repository });
}

/**
 * Refuses a repository that lies in another one: whatever is done to it would be done to that one's snapshots.
 * @throws StorageError `TargetInsideRepository`
 */
export function refuseNested(repository: string): void {
  if (repository !== '/') refuseInsideRepository(dirname(repository));
}

/** The directory itself or the nearest one above it that is a repository. */
function repositoryAround(directory: string): string | undefined {
  for (let path = directory; ; path = dirname(path)) {
    if (isRepository(path)) return path;
    if (path === '/') return undefined;
  }
}

/**
 * True of a directory with the mark of a repository, if whoever owns the directory, root or this user has made it: anybody
 * may write into a directory such as /tmp.
 */
export function isRepository(directory: PathBytes): boolean {
  try {
    const mark = lstatIfPresent(joinPath(directory, MARK));
    if (mark === undefined) return false;
    return [0, process.geteuid?.(), Number(lstatIfPresent(directory)?.uid)].includes(Number(mark.uid));
  } catch (error) {
    // Nobody's repository is there, or nobody may look; what cannot be reached cannot be written to either.
    if (isErrno(error, 'ENOTDIR', 'EACCES', 'ENAMETOOLONG', 'ELOOP')) return false;
    throw error;
  }
}
