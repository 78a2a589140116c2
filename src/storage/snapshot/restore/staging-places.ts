import { isBelow } from '../../../core/roots';
import { OpenDirectories } from '../../batch/open-directories';
import type { RunLocation } from '../../batch/run-directory';
import type { OpenDirectory } from '../../directory';
import { isErrno, StorageError } from '../../errors';
import { pathText, splitPath } from '../../path-bytes';
import type { RestoreItem } from './restore-item';
import type { TargetFinder } from './target-finder';
import { requireWritable } from './writable';

/** Far more file systems than anybody restores to at once; few enough to travel with every step. */
export const MOST_PLACES = 32;
const MOST_PATH_BYTES = 16 * 1024;

type Place = string | StorageError;

/**
 * Where a restore stages what it puts into directories that are there: on the same file system, since files get their names
 * by a link or a rename, and in a directory that may be written. For each file system that is the topmost one, at or below
 * the destination, from which the directory is reached through such directories alone.
 */
export class StagingPlaces {
  private readonly directories = new OpenDirectories('destination');
  /** By file system. */
  private readonly places = new Map<string, string>();
  private readonly known = new WeakMap<OpenDirectory, Place>();

  /** @param holder the directory that the run itself is in, where it is there: on its file system nothing else is needed */
  constructor(
    private readonly location: Pick<RunLocation, 'root' | 'destination'>,
    private readonly holder?: string,
  ) {
    if (holder !== undefined) this.places.set(this.directories.look(location.root, holder).mount, holder);
  }

  /** What was answered, but for the directory that the run itself is in. */
  get others(): string[] {
    return [...this.places.values()].filter((place) => place !== this.holder);
  }

  /**
   * The directory to stage in for what goes into a directory.
   * @throws StorageError `PermissionDenied`, `DestinationReadOnly`, `DestinationNotTrusted` for one that may not be written
   */
  of(directory: OpenDirectory): string {
    const place = this.known.get(directory) ?? this.look(directory);
    this.known.set(directory, place);
    if (typeof place !== 'string') throw place;
    return place;
  }

  /** The directory to stage in for an entry; undefined where none is needed, and where it may not be written: whoever tries to says so. */
  find(item: RestoreItem, finder: TargetFinder): string | undefined {
    // The destination itself is in no directory of the restore's.
    if (item.type === 'skipped' || item.path.length === 1) return undefined;
    try {
      finder.find(item.path);
      const holder = finder.holderOf(item.path);
      return holder && this.of(holder);
    } catch (error) {
      if (error instanceof StorageError) return undefined;
      throw error;
    }
  }

  close(): void {
    this.directories.close();
  }

  private look(directory: OpenDirectory): Place {
    try {
      requireWritable(directory);
      const { mount } = directory;
      const place = this.places.get(mount) ?? this.choose(directory, mount);
      if (typeof place === 'string') this.places.set(mount, place);
      return place;
    } catch (error) {
      if (error instanceof StorageError) return error;
      throw error;
    }
  }

  private choose(directory: OpenDirectory, mount: string): Place {
    const place = this.topmost(directory, mount);
    const paths = [...this.others, place];
    const fits = paths.length <= MOST_PLACES && Buffer.byteLength(paths.join()) <= MOST_PATH_BYTES;
    return fits ? place : new StorageError('TargetInvalid', 'destination', place, `${place} is one more file system than the ${MOST_PLACES} that one restore can write to; restore to a directory on that one`);
  }

  private topmost(directory: OpenDirectory, mount: string): string {
    let place = directory;
    for (let above = this.above(place); above !== undefined && above.mount === mount && mayHold(above); above = this.above(place)) place = above;
    if (typeof place.path === 'string') return place.path;
    const path = pathText(place.path);
    throw new StorageError('TargetInvalid', 'destination', path, `Nothing can be staged in ${path}, whose name is no text; restore to another directory`);
  }

  private above({ path }: OpenDirectory): OpenDirectory | undefined {
    const { directory } = splitPath(path);
    // A destination is text, and so are all directories above one that is.
    if (typeof directory !== 'string' || path === this.location.destination || !isBelow(this.location.destination, directory)) return undefined;
    return this.directories.look(this.location.root, directory);
  }
}

/** @throws what is wrong with the destination beyond who may write there */
export function mayHold(directory: OpenDirectory): boolean {
  try {
    requireWritable(directory);
    return true;
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'DestinationNotTrusted')) return false;
    throw error;
  }
}
