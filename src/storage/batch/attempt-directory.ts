import * as fs from 'node:fs';
import { blaming, isErrno, StorageError } from '../errors';
import { removeStaging } from '../staging';
import type { ChunkTask } from './chunk';
import { requireRun } from './open-run';
import { runDirectory, runEntries } from './run-directory';

/** The staging directory of an attempt, below the run's, which no attempt creates: it is the fence. */
export function attemptDirectory({ settings, attemptName }: ChunkTask): string {
  return `${runDirectory(settings.location)}/${runEntries.staging}/${attemptName}`;
}

/** @throws StorageError `StagingRevoked` when the run has ended */
export function makeAttemptDirectory(task: ChunkTask): string {
  const path = attemptDirectory(task);
  const { destination } = task.settings.location;
  blaming('destination', destination, () => {
    try {
      fs.mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      requireRun(task.settings.location);
      throw new StorageError('StagingRevoked', 'destination', destination, `The staging directory of the run in ${destination} is gone`, {}, { cause: error });
    }
  });
  return path;
}

/** Removes what an attempt staged that gave its chunk up. */
export function discardAttempt(task: ChunkTask): void {
  removeStaging(attemptDirectory(task));
}
