import * as fs from 'node:fs';
import type { TransferControl } from '../control';
import { inDirectory, using, type OpenDirectory } from '../directory';
import { isErrno } from '../errors';
import { removeTree } from '../remove-tree';
import { refuseForeign } from './open-run';
import { requireMark, type RunOwner } from './run-mark';
import { runEntries, runName, runsDirectory, type RunLocation } from './run-directory';

/** Whose run is removed: where the owner is given, it must be the one that the run has written down. */
export interface RunToRemove {
  readonly location: RunLocation;
  readonly owner?: RunOwner;
}

/**
 * Removes a run's directory, if it is the one that the run has made. What is missing already counts as removed.
 * @throws StorageError `NotOwnRun`, `DestinationNotTrusted`, `Cancelled`, errno names
 */
export function removeRun(run: RunToRemove, control?: TransferControl): void {
  const { location } = run;
  unlessGone(() =>
    inDirectory(location.root, runsDirectory(location), 'destination', (runs) => {
      unlessGone(() => removeRunIn(runs, runName(location), run, control));
      runs.sync();
    }),
  );
}

function unlessGone(calls: () => void): void {
  try {
    calls();
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/** As `removeRun`, of a directory that may have been renamed. @throws as `removeRun`, and ENOENT */
export function removeRunIn(runs: OpenDirectory, name: string, run: RunToRemove, control?: TransferControl): void {
  emptyRun(runs, name, run, [], control);
  fs.rmdirSync(runs.entry(name));
}

/** Removes everything of a run but entries of some names. @throws as `removeRunIn` */
export function emptyRun(runs: OpenDirectory, name: string, { location, owner }: RunToRemove, keep: readonly string[], control?: TransferControl): void {
  using(runs.child(name).own(), (run) => {
    requireMark(run, location.runId);
    if (owner !== undefined) refuseForeign(location, owner, run.handle);
    // The mark goes last: should this be interrupted, the rest is known for the run's all the same.
    const names = fs.readdirSync(run.handle).filter((each) => each !== runEntries.owner && !keep.includes(each));
    for (const each of [...names, runEntries.owner]) removeTree(run.handle, each, control);
  });
}
