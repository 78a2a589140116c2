import * as fs from 'node:fs';
import { join } from 'node:path';
import { requireSynced } from '../batch/group-sync';
import { runDirectory, type RunLocation } from '../batch/run-directory';
import { inRun } from '../batch/run-mark';
import type { TransferControl } from '../control';
import { syncDirectories } from '../directory';
import { blaming, isErrno } from '../errors';
import { fromJsonPath, type PathBytes } from '../path-bytes';
import { snapshotEntries } from './snapshot-record';
import { readTree } from './snapshot-plan';

/** What a run makes of a snapshot, and publishes by one rename. */
export function incomingSnapshot(location: RunLocation): string {
  return join(runDirectory(location), 'snapshot');
}

/** Where the copies of a snapshot that is being made are, each at its full path. */
export function dataDirectory(location: RunLocation): string {
  return join(incomingSnapshot(location), snapshotEntries.data);
}

/** Longest path that Linux takes (PATH_MAX less its closing NUL), in bytes. */
const MAX_PATH_BYTES = 4095;

/** As long as the id of any run. */
const RUN_ID = '0'.repeat(36);

/** The longest path of a source whose copy can be named while it is made, in bytes. */
export function maxSourcePathBytes(repository: string): number {
  return MAX_PATH_BYTES - Buffer.byteLength(dataDirectory({ root: repository, destination: repository, runId: RUN_ID, area: 'incoming' }));
}

/** The place of a copy below a data directory. */
export function dataPath(data: string, path: PathBytes): PathBytes {
  if (path === '/') return data;
  return typeof path === 'string' ? `${data}${path}` : Buffer.concat([Buffer.from(data), path]);
}

/**
 * Makes all directories that the plan knows, for the copies, and makes them durable; what they are like comes last.
 * Repeated, it finds them, and makes them durable all the same: an earlier attempt may not have come to that.
 * @throws StorageError `DestinationError`, `RunAltered`, `Cancelled`, errno names
 */
export function makeDataDirectories(location: RunLocation, syncEach: boolean, control: TransferControl): void {
  blaming('destination', location.destination, () =>
    inRun(location, (opened) => {
      const made = makeIn(opened, control);
      if (syncEach) syncDirectories([runDirectory(opened), ...made]);
      else requireSynced(opened, control);
    }),
  );
}

function makeIn(location: RunLocation, control: TransferControl): PathBytes[] {
  const data = dataDirectory(location);
  const directories: PathBytes[] = [incomingSnapshot(location), data];
  directories.forEach(makeDirectory);
  for (const line of readTree(location)) {
    if (!('entry' in line) || line.entry.type !== 'directory' || line.entry.state === 'failed') continue;
    control.throwIfCancelled();
    const path = fromJsonPath(line.entry.path);
    if (path === '/') continue;
    const directory = dataPath(data, path);
    makeDirectory(directory);
    directories.push(directory);
  }
  return directories;
}

function makeDirectory(path: PathBytes): void {
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
}
