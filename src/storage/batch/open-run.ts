import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isBelow } from '../../core/roots';
import { inDirectory, OpenDirectory, using } from '../directory';
import { unlinkIfPresent } from '../entries';
import { blaming, StorageError } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { canLinkIn } from '../hard-links';
import { refuseInsideRepository, refuseNested } from '../inside-repository';
import { makeOwn, makeOwnDirectory, makeTrusted } from '../make-directory';
import { createParents, missingParents } from '../parents';
import { identityOf, requireDestination, type DirectoryIdentity } from '../staging';
import { runDirectory, runEntries, runHolder, runName, runPath, runsDirectory, type RunLocation } from './run-directory';
import { setAside } from './reserve';
import { gone, readMark, requireMark, type RunOwner } from './run-mark';
import { alteredRun } from './run-proof';

export type { RunOwner } from './run-mark';

/** What a destination is before a run does anything to it. */
export interface RunGround {
  /** The backup directory, or the deepest directory on the way to it that is there. */
  readonly destination: DirectoryIdentity;
  /** Parents that have to be created, nearest to the root first. */
  readonly missingDirectories: readonly string[];
}

/** A directory of a run, and the one in which it was made. */
export interface RunPlace {
  readonly location: RunLocation;
  readonly ground: RunGround;
}

/** The places of a run, as it has written them down: directories that were there, in which each has one named after the run. */
export function placesBeside({ root, destination, runId }: RunLocation, holders: readonly DirectoryIdentity[] = []): RunPlace[] {
  return holders.map((holder) => ({ location: { root, destination, runId, beside: holder.path }, ground: { destination: holder, missingDirectories: [] } }));
}

export interface OpenRunRequest {
  readonly location: RunLocation;
  readonly owner: RunOwner;
  readonly ground: RunGround;
  /** All or nothing: previous targets are kept by hard links. */
  readonly needsHardLinks: boolean;
  /** The run is done once more, since somebody has reset it: what it came to before is no record of it any more. */
  readonly isAgain?: boolean;
}

/**
 * Looks where a run's directory will be. Creates nothing. A snapshot's is in its repository, which must not lie in another one.
 * @throws StorageError `DestinationGone`, `TargetInvalid`, `TargetInsideRepository`, errno names
 */
export function inspectRun(location: RunLocation): RunGround {
  // First: copies in a snapshot have modes by which they are trusted or not, and neither matters.
  if (location.area === undefined) refuseInsideRepository(location.destination);
  else refuseNested(location.destination);
  return groundOf(location);
}

function groundOf(location: RunLocation): RunGround {
  const missingDirectories = missingParents(location.root, `${runsDirectory(location)}/-`);
  const nearest = join(runHolder(location), '-');
  const path = dirname(missingParents(location.root, nearest)[0] ?? nearest);
  const directory = OpenDirectory.open(location.root, path, 'destination');
  try {
    return { destination: identityOf(path, directory.stat()), missingDirectories };
  } finally {
    directory.close();
  }
}

/**
 * Makes the run's directory with its fence, the staging directory. Only this step ever makes it; repeated, it finds it.
 * @throws StorageError `NotOwnRun`, `DestinationGone`, `DestinationNotTrusted`, `StagingRevoked`, `NoHardLinks`, errno names
 */
export function openRun({ location, owner, ground, needsHardLinks, isAgain }: OpenRunRequest): void {
  const { root } = location;
  const holder = runHolder(location);
  blaming('destination', holder, () => {
    requireDestination(ground.destination);
    // All that were missing at the start, also those that an attempt has made which died before they were durable.
    createParents(root, ground.missingDirectories.filter((directory) => isBelow(directory, holder)));
    inDirectory(root, holder, 'destination', (parent) => using(makeRunDirectory(parent, location), (run) => fill(run, { location, owner, needsHardLinks, isAgain })));
  });
}

function makeRunDirectory(holder: OpenDirectory, location: RunLocation): OpenDirectory {
  if (location.beside !== undefined) return makeIn(holder, location);
  return using(makeOwnDirectory(holder), (own) => using(makeTrusted(own, basename(runsDirectory(location))), (runs) => makeIn(runs, location)));
}

function makeIn(runs: OpenDirectory, location: RunLocation): OpenDirectory {
  makeOwn(runs, runName(location)).close();
  runs.sync();
  return runs.child(runName(location)).own();
}

/**
 * Makes a directory in which a run only stages, on a file system that its own one does not reach; repeated, it finds it.
 * @param request `location` is beside what is restored
 * @throws StorageError as `openRun`
 */
export function openPlace({ location, owner, ground }: Omit<OpenRunRequest, 'needsHardLinks'>): void {
  const holder = runHolder(location);
  blaming('destination', holder, () => {
    requireDestination(ground.destination);
    inDirectory(location.root, holder, 'destination', (parent) =>
      using(makeRunDirectory(parent, location), (run) => {
        mark(run, { location, owner }, [runEntries.staging]);
        run.sync();
      }),
    );
  });
}

function mark(run: OpenDirectory, { location, owner }: Pick<OpenRunRequest, 'location' | 'owner'>, directories: readonly string[]): void {
  requireMark(run, location.runId);
  refuseForeign(location, owner, run.handle);
  refuseRevoked(location, run);
  for (const name of directories) makeOwn(run, name).close();
  writeOwner(run.handle, owner);
}

function fill(run: OpenDirectory, { location, owner, needsHardLinks, isAgain }: Omit<OpenRunRequest, 'ground'>): void {
  if (isAgain === true) forgetEnd(run, { location, owner });
  mark(run, { location, owner }, [runEntries.journal, runEntries.staging]);
  if (needsHardLinks) requireHardLinks(run.entry(runEntries.staging), location.destination);
  setAside(run);
  run.sync();
}

/** The record of an earlier end of the run: with it there, nothing more would be done. */
function forgetEnd(run: OpenDirectory, { location, owner }: Pick<OpenRunRequest, 'location' | 'owner'>): void {
  refuseForeign(location, owner, run.handle);
  unlinkIfPresent(run.entry(runEntries.summary));
}

/** @throws StorageError `NotOwnRun` unless the run is the one that asks, `DestinationGone` when its directory is not where it was */
export function requireOwner(location: RunLocation, owner: RunOwner): void {
  requireRun(location);
  refuseForeign(location, owner);
}

/** As `requireOwner`, for steps that may find their work done and the run removed. @throws StorageError `NotOwnRun` */
export function refuseForeign(location: RunLocation, owner: RunOwner, run = runDirectory(location)): void {
  const found = readMark(join(run, runEntries.owner));
  if (found === undefined || isSameOwner(found, owner)) return;
  throw new StorageError('NotOwnRun', 'destination', runPath(location), `The run ${location.runId} in ${location.destination} belongs to another workflow`);
}

function isSameOwner(found: RunOwner, { clusterId, namespace, workflowId, runId }: RunOwner): boolean {
  return found.clusterId === clusterId && found.namespace === namespace && found.workflowId === workflowId && found.runId === runId;
}

/** @throws StorageError `DestinationGone` when the run's directory is not where it was: a disk that is away takes it along */
export function requireRun(location: RunLocation): void {
  const path = join(runDirectory(location), runEntries.owner);
  if (blaming('destination', path, () => lstatIfPresent(path)) === undefined) throw gone(location);
}

/** Its record is there, with which a run ends: nothing is left to do. What it says is judged by whoever reads it. */
export function isOver(location: RunLocation): boolean {
  return lstatIfPresent(join(runDirectory(location), runEntries.summary)) !== undefined;
}

/** What a file of a run that is not there means: somebody took it away, unless the whole disk is away. @throws StorageError `DestinationGone` */
export function missingInRun(location: RunLocation, path: string): StorageError {
  requireRun(location);
  return alteredRun(path, 'is missing');
}

function refuseRevoked({ destination }: RunLocation, run: OpenDirectory): void {
  if (lstatIfPresent(run.entry(runEntries.revoked)) !== undefined) throw new StorageError('StagingRevoked', 'destination', destination, `The run in ${destination} has ended already`);
}

function writeOwner(run: string, owner: RunOwner): void {
  const draft = join(run, `.${randomUUID()}`);
  fs.writeFileSync(draft, JSON.stringify(owner), { mode: 0o600, flag: 'wx', flush: true });
  fs.renameSync(draft, join(run, runEntries.owner));
}

function requireHardLinks(staging: string, destination: string): void {
  if (canLinkIn(staging)) return;
  throw new StorageError('NoHardLinks', 'destination', destination, `The file system of ${destination} has no hard links, by which previous targets are kept`);
}
