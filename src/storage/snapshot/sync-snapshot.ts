import { syncAttempt } from '../batch/attempt-directory';
import type { ChunkTask } from '../batch/chunk';
import { requireSynced } from '../batch/group-sync';
import type { TransferControl } from '../control';
import { syncDirectories } from '../directory';
import { splitPath } from '../path-bytes';
import { dataDirectory, dataPath } from './incoming-data';
import type { SnapshotFile } from './snapshot-file';

/**
 * Makes durable what the journal of a chunk is about to name, before it names it: copies where they were put aside, and the
 * links of what is unchanged, which no sync of a file would keep.
 * @throws StorageError `DestinationError`, `Cancelled`, errno names
 */
export function syncFiles(task: ChunkTask, files: readonly SnapshotFile[], control: TransferControl): void {
  const { location, syncEach } = task.settings;
  const done = files.filter(({ entry, settled }) => entry !== undefined && settled === undefined);
  if (done.length === 0) return;
  if (!syncEach) return requireSynced(location, control);
  const data = dataDirectory(location);
  const links = done.filter(({ staged }) => staged === undefined);
  syncDirectories(links.map(({ path }) => splitPath(dataPath(data, path)).directory));
  syncAttempt(task);
}
