import type { RunSettings } from '../../batch/chunk';
import type { RunGround } from '../../batch/open-run';
import type { RunLocation } from '../../batch/run-directory';

/**
 * What becomes of a target that exists: `always` replaces it unless it is as recorded; `ifChanged` takes one of the
 * recorded size and modification time for restored; `never` leaves it.
 */
export type Overwrite = 'always' | 'ifChanged' | 'never';

/** Where the bytes of a snapshot are. */
export interface SnapshotSource {
  /** Allowed root that holds the repository. */
  readonly repositoryRoot: string;
  readonly repository: string;
  /** The snapshot's whole name. */
  readonly snapshot: string;
}

/** What to restore. */
export interface RestoreSelection {
  readonly repositoryRoot: string;
  readonly repository: string;
  /** As a person names it: `latest`, a name, or the beginning of an id. */
  readonly snapshot: string;
  /** Entries, each with everything below it; all of the snapshot when there are none. */
  readonly paths: readonly string[];
  readonly overwrite: Overwrite;
  /** Also recorded owners other than the running user, and set-user-id, set-group-id and sticky bits. */
  readonly withOwners: boolean;
}

export interface RestoreRequest extends RestoreSelection {
  /** Its destination is the directory below which everything gets its full path. */
  readonly location: RunLocation;
}

/** What all chunks of a restore have in common. */
export interface RestoreSettings extends RunSettings, SnapshotSource {
  readonly overwrite: Overwrite;
  /** Tells a run that has ended from a destination that is away. */
  readonly ground: RunGround;
}

/** Why an entry is not restored, where nothing went wrong. */
export type SkipReason = 'exists' | 'notInSnapshot' | 'socket' | 'device' | 'reserved' | 'repository' | 'cancelled';

export const skipTexts: Readonly<Record<SkipReason, string>> = {
  exists: 'it exists, and is not to be overwritten',
  notInSnapshot: 'it could not be backed up, and is not in the snapshot',
  socket: 'it is a socket, which only the program that serves it can make',
  device: 'it is a device, of which only its number is recorded',
  reserved: 'its place is where a restore keeps its own files',
  repository: 'it would get into a repository that is there',
  cancelled: 'the restore ended before it',
};
