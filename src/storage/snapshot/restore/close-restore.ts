import { dirname } from 'node:path';
import type { RunGround, RunPlace } from '../../batch/open-run';
import { planEntries, planPath, readPlanned } from '../../batch/plan-digests';
import { emptyRun, removeRun, type RunToRemove } from '../../batch/remove-run';
import { runEntries, runHolder, runName, runsDirectory, type RunLocation } from '../../batch/run-directory';
import { inRun, type RunOwner } from '../../batch/run-mark';
import { inDirectory, type OpenDirectory } from '../../directory';
import { blaming, isErrno } from '../../errors';
import { lstatIfPresent } from '../../file-stat';
import { removeEmptyParents } from '../../parents';
import { setTimes } from '../../posix';
import { requireDestination } from '../../staging';
import { applyAttributes, type Attributes } from './attributes';
import { plannedRestore } from './plan-restore';

export interface CloseRequest {
  readonly location: RunLocation;
  readonly owner: RunOwner;
  readonly ground: RunGround;
  /** Where else it has staged. */
  readonly places: readonly RunPlace[];
  /** As `finishRestore` answered it: that file stays. */
  readonly failuresPath: string | null;
  /** What the destination itself is to have, for an attempt after one that has removed the plan, which says it too. */
  readonly rootAttributes: Attributes | null;
}

/**
 * Removes everything of a restore's own from its destination, but for the list of failures where there is one. Repeated,
 * it finds its work done.
 * @throws StorageError `NotOwnRun`, `DestinationGone`, errno names
 */
export function closeRestore({ location, owner, ground, places, failuresPath, rootAttributes }: CloseRequest): void {
  for (const place of places) keepingTime(place, () => removeRun({ location: place.location, owner }));
  const attributes = plannedAttributes(location) ?? rootAttributes;
  keepingTime({ location, ground }, () => {
    const run = { location, owner };
    if (failuresPath === null) removeRun(run);
    else keepFailures(run);
    if (location.beside === undefined) removeEmptyParents(location.root, [dirname(runsDirectory(location)), runsDirectory(location)]);
  });
  // Last: what was removed has changed its times, and a read-only directory lets nothing be removed.
  if (attributes !== null) applyToDestination(location, attributes);
}

function applyToDestination({ root, destination }: RunLocation, attributes: Attributes): void {
  inDirectory(root, destination, 'destination', (directory) => {
    directory.use((descriptor) => applyAttributes(descriptor, attributes));
    directory.sync();
  });
}

/** Removes something of the run's own from a directory, if it is still the one that the run was made in. */
function keepingTime({ location, ground }: RunPlace, remove: () => void): void {
  const holder = runHolder(location);
  blaming('destination', holder, () => {
    requireDestination(ground.destination);
    inDirectory(location.root, holder, 'destination', (directory) => {
      const { mtimeNs } = directory.stat();
      remove();
      keepTime(directory, mtimeNs);
      directory.sync();
    });
  });
}

/** Undefined where an earlier attempt has removed the plan, or has begun to. @throws StorageError `RunAltered` */
function plannedAttributes(location: RunLocation): Attributes | null | undefined {
  try {
    return inRun(location, (opened) => {
      const isThere = Object.values(planEntries).every((name) => lstatIfPresent(planPath(opened, name)) !== undefined);
      return isThere ? readPlanned(opened, plannedRestore)?.rootAttributes : undefined;
    });
  } catch (error) {
    if (isErrno(error, 'DestinationGone')) return undefined;
    throw error;
  }
}

function keepFailures(run: RunToRemove): void {
  const { location } = run;
  inDirectory(location.root, runsDirectory(location), 'destination', (runs) => emptyRun(runs, runName(location), run, [runEntries.failures]));
}

/** Of a directory that belongs to somebody else: nothing of it was asked to change. */
function keepTime(directory: OpenDirectory, mtimeNs: bigint): void {
  if (directory.stat().mtimeNs === mtimeNs) return;
  try {
    directory.use((descriptor) => setTimes(descriptor, mtimeNs));
  } catch {
    // Somebody else's directory, in which this user may write: its time stays as it is.
  }
}
