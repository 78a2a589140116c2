import * as fs from 'node:fs';
import { syncDirectories } from '../directory';
import { blaming, isErrno, StorageError } from '../errors';
import { isSameInode, lstatIfPresent } from '../file-stat';
import { namesIn } from '../entries';
import { removeFlat } from '../remove-tree';
import type { ChunkTask, RunSettings } from './chunk';
import { requireRun } from './open-run';
import { runDirectory, runEntries, type RunLocation } from './run-directory';

/** All directories of a run in which attempts stage; each has a fence of its own. */
export function stagingLocations({ location, places = [] }: RunSettings): readonly RunLocation[] {
  return [location, ...places];
}

/** The staging directory of an attempt, below the run's, which no attempt creates: it is the fence. */
export function attemptDirectory(task: ChunkTask<RunSettings>, place = 0): string {
  return `${stagingDirectory(stagingLocations(task.settings)[place] ?? task.settings.location)}/${task.attemptName}`;
}

function stagingDirectory(location: RunLocation): string {
  return `${runDirectory(location)}/${runEntries.staging}`;
}

/** @throws StorageError `StagingRevoked` when the run has ended */
export function makeAttemptDirectory(task: ChunkTask<RunSettings>, place = 0): string {
  const path = attemptDirectory(task, place);
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

/** Makes the names of what an attempt has staged durable: by them undo tells later what it has published. @throws StorageError errno names */
export function syncAttempt({ settings, attemptName }: ChunkTask<RunSettings>): void {
  for (const staging of stagingLocations(settings).map(stagingDirectory)) {
    const directory = `${staging}/${attemptName}`;
    if (lstatIfPresent(directory) !== undefined) syncDirectories([directory, staging]);
  }
}

/** Removes what an attempt staged that gave its chunk up. */
export function discardAttempt({ settings, attemptName }: ChunkTask<RunSettings>): void {
  for (const location of stagingLocations(settings)) removeFlat(stagingDirectory(location), attemptName);
}

/** Staging directories of all attempts at the chunk that are there, this one's among them. */
export function attemptsAt({ settings, chunk }: ChunkTask<RunSettings>): string[] {
  return stagingLocations(settings).map(stagingDirectory).flatMap((staging) => namesIn(staging).flatMap((attempt) => (attempt.startsWith(`${chunk}-`) ? [`${staging}/${attempt}`] : [])));
}

/** One of the attempts has staged this very file: where it published by a link, the staged name is there still. */
export function isStagedBy(attempts: readonly string[], name: string, found: fs.BigIntStats): boolean {
  return attempts.some((attempt) => {
    const staged = lstatIfPresent(`${attempt}/${name}`);
    return staged !== undefined && isSameInode(found, staged);
  });
}
