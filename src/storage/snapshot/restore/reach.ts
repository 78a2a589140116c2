import { makeAttemptDirectory, stagingLocations } from '../../batch/attempt-directory';
import type { ChunkTask, RunSettings } from '../../batch/chunk';
import { runDirectory } from '../../batch/run-directory';
import type { OpenDirectory } from '../../directory';
import { StorageError } from '../../errors';
import { mountOf } from '../../mount';
import { pathText } from '../../path-bytes';
import { requireWritable } from './writable';

/** Tells which of the directories in which a run stages is on the file system of a target's directory. */
export class Reach {
  private readonly mounts: readonly string[];
  private readonly known = new WeakMap<OpenDirectory, number>();

  /** @param settings with its locations opened; see `inPlaces` */
  constructor(settings: RunSettings) {
    this.mounts = stagingLocations(settings).map((location) => mountOf(runDirectory(location)));
  }

  /**
   * The number of the staging directory for what goes into a directory, as `attemptDirectory` counts them.
   * @throws StorageError `TargetInvalid` when none is on its file system, and as `requireWritable`
   */
  placeFor(directory: OpenDirectory): number {
    const known = this.known.get(directory);
    if (known !== undefined) return known;
    requireWritable(directory);
    const place = this.mounts.indexOf(directory.mount);
    if (place < 0) throw otherMount(pathText(directory.path));
    this.known.set(directory, place);
    return place;
  }
}

/** Staging directories of one attempt at a chunk, each made when the first file goes there. */
export class AttemptPlaces {
  private readonly made = new Set([0]);
  private readonly reach: Reach;

  constructor(private readonly task: ChunkTask<RunSettings>) {
    this.reach = new Reach(task.settings);
  }

  /** @throws StorageError as `Reach.placeFor`, `StagingRevoked` */
  placeFor(directory: OpenDirectory): number {
    const place = this.reach.placeFor(directory);
    if (!this.made.has(place)) makeAttemptDirectory(this.task, place);
    this.made.add(place);
    return place;
  }
}

/** Mounted since the restore was planned, or one too many. */
export function otherMount(directory: string, cause?: unknown): StorageError {
  return new StorageError('TargetInvalid', 'destination', directory, `${directory} is on a file system on which this restore has not staged anything; run the restore again, or restore to a directory on that one`, {}, { cause });
}
