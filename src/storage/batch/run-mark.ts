import { OpenDirectory, using } from '../directory';
import { isErrno, StorageError } from '../errors';
import { pathText } from '../path-bytes';
import { readOwnRecord, type OwnRecord } from '../records/own-file';
import { stagingOwner } from '../staging-shapes';
import type { StagingOwner } from '../staging-mark';
import type { ChunkTask, RunSettings } from './chunk';
import { runEntries, runPath, type RunLocation } from './run-directory';

/** Whose run it is: the workflow id stays the same through continue-as-new, the run id is the first one's. */
export type RunOwner = StagingOwner;

/**
 * Opens a run's directory, if it is the one that the run has made, and hands over the location by which everything in it
 * is named through the descriptor: whatever its path names by now, nothing else is read, written or removed.
 * @throws StorageError `DestinationGone` when it is not there, `DestinationNotTrusted` when somebody else can change what
 *   leads to it, or has put another directory in its place
 */
export function inRun<T>(location: RunLocation, calls: (location: RunLocation) => T): T {
  if (location.handle !== undefined) return calls(location);
  return using(openRunDirectory(location), ({ handle }) => {
    try {
      return calls({ ...location, handle });
    } catch (error) {
      throw error instanceof StorageError ? named(error, handle, runPath(location)) : error;
    }
  });
}

/** Findings name files as people know them: the descriptor's path means nothing outside of this step. */
function named(error: StorageError, handle: string, path: string): StorageError {
  if (!error.message.includes(handle) && !error.path.includes(handle)) return error;
  return new StorageError(error.code, error.side, error.path.replaceAll(handle, path), error.message.replaceAll(handle, path), error.found, { cause: error });
}

/** As `inRun`, of a task on one of the run's chunks, with all places where it stages. */
export function inTask<Settings extends RunSettings, T>(task: ChunkTask<Settings>, calls: (task: ChunkTask<Settings>) => T): T {
  return inPlaces(task.settings, (settings) => calls({ ...task, settings }));
}

/** As `inRun`, with all places where the run stages. */
export function inPlaces<Settings extends RunSettings, T>(settings: Settings, calls: (settings: Settings) => T): T {
  return inRun(settings.location, (location) => inEach(settings.places ?? [], [], (places) => calls({ ...settings, location, ...(places.length === 0 ? {} : { places }) })));
}

function inEach<T>([first, ...rest]: readonly RunLocation[], opened: readonly RunLocation[], calls: (places: readonly RunLocation[]) => T): T {
  return first === undefined ? calls(opened) : inRun(first, (location) => inEach(rest, [...opened, location], calls));
}

function openRunDirectory(location: RunLocation): OpenDirectory {
  const path = runPath(location);
  try {
    const run = OpenDirectory.open(location.root, path, 'destination').own();
    try {
      if (requireMark(run, location.runId)) return run;
    } catch (error) {
      run.close();
      throw error;
    }
    run.close();
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw gone(location, error);
  }
  throw gone(location);
}

/** A disk that is away takes the run's directory along. */
export function gone({ destination }: RunLocation, cause?: unknown): StorageError {
  return new StorageError('DestinationGone', 'destination', destination, `The run's directory in ${destination} is gone`, {}, { cause });
}

/** Answers whether the directory has a mark. @throws StorageError `DestinationNotTrusted` for the mark of another run */
export function requireMark(run: OpenDirectory, runId: string): boolean {
  const owner = readMark(run.entry(runEntries.owner));
  if (owner === undefined) return false;
  if (owner.runId === runId) return true;
  const path = pathText(run.path);
  throw new StorageError('DestinationNotTrusted', 'destination', path, `${path} is not the directory of this run: its ${runEntries.owner} is another one's`);
}

/** What cannot be read as an owner is nobody's. */
const ownerRecord: OwnRecord<RunOwner> = {
  side: 'destination',
  maxBytes: 64 * 1024,
  shape: stagingOwner,
  refuse: (path, why, cause) => new StorageError('NotOwnRun', 'destination', path, `The run's owner ${path} is nobody: it ${why}`, {}, { cause }),
};

/** Whose run a directory is, as its mark says; undefined when it has none. @throws StorageError `NotOwnRun` for what is no mark */
export function readMark(path: string): RunOwner | undefined {
  return readOwnRecord(path, ownerRecord);
}
