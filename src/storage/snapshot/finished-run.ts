import { isErrno, StorageError } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { inDirectory } from '../directory';
import { runPath, type RunLocation } from '../batch/run-directory';
import { gone } from '../batch/run-mark';
import { incomingSnapshot } from './incoming-data';
import { readRepository } from './repository';
import { listSnapshots, type SnapshotRecord } from './snapshot-record';

type Run = Pick<RunLocation, 'root' | 'destination' | 'runId'>;

/**
 * The snapshot that a run has published, by the run id in its record, made durable: whoever finds it may know nothing of
 * that. Undefined while it has none. A server whose database was put back to an earlier copy asks again for what is done.
 * @param startedAt when the run began: one that was reset begins once more, and may have published before
 * @throws StorageError `RepositoryNotFound`, errno names
 */
export function publishedBy({ root, destination, runId }: Run, startedAt?: string): SnapshotRecord | undefined {
  const found = listSnapshots(destination).find(({ record }) => record?.runId === runId && (startedAt === undefined || record.startedAt === startedAt))?.record;
  if (found !== undefined) inDirectory(root, destination, 'destination', (repository) => repository.sync());
  return found;
}

/** @throws StorageError `DestinationGone` when what is to be published is not in the run's directory */
export function requireIncoming(location: RunLocation): void {
  if (lstatIfPresent(incomingSnapshot(location)) === undefined) throw gone(location);
}

/**
 * Runs calls that work in a run's directory. Where that is gone and the repository is not, the run is over: the answer is
 * then what `published` makes of its snapshot.
 * @throws StorageError `StagingRevoked` where the run has published nothing: somebody has removed its directory
 */
export function unlessPublished<T>(location: RunLocation, calls: () => T, published: (record: SnapshotRecord) => T): T {
  try {
    return calls();
  } catch (error) {
    if (!isErrno(error, 'DestinationGone') || !isRepositoryThere(location)) throw error;
    const record = publishedBy(location);
    if (record !== undefined) return published(record);
    if (lstatIfPresent(runPath(location)) !== undefined) throw error;
    throw new StorageError('StagingRevoked', 'destination', location.destination, `The run's directory in ${location.destination} is gone, and the run has published no snapshot there`, {}, { cause: error });
  }
}

/** A disk that is away takes the mark of its repository along. */
function isRepositoryThere({ destination }: RunLocation): boolean {
  try {
    readRepository(destination);
    return true;
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return false;
  }
}
