import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { OpenDirectory, syncDirectory } from '../directory';
import { blaming, isErrno, StorageError } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { canLinkIn } from '../hard-links';
import { refuseInsideRepository, refuseNested } from '../inside-repository';
import { createParents, missingParents } from '../parents';
import type { StagingOwner } from '../prepare-staging';
import { readOwnRecord, type OwnRecord } from '../records/own-file';
import { identityOf, requireDestination, type DirectoryIdentity } from '../staging';
import { stagingOwner } from '../staging-shapes';
import { runDirectory, runEntries, runsDirectory, type RunLocation } from './run-directory';
import { alteredRun } from './run-proof';

/** A few journals of a thousand files each, and the records at the end. */
const RESERVE_BYTES = 2 * 1024 * 1024;

/** Whose run it is: the workflow id stays the same through continue-as-new, the run id is the first one's. */
export type RunOwner = StagingOwner;

/** What a destination is before a run does anything to it. */
export interface RunGround {
  /** The backup directory, or the deepest directory on the way to it that is there. */
  readonly destination: DirectoryIdentity;
  /** Parents that have to be created, nearest to the root first. */
  readonly missingDirectories: readonly string[];
}

export interface OpenRunRequest {
  readonly location: RunLocation;
  readonly owner: RunOwner;
  readonly ground: RunGround;
  /** All or nothing: previous targets are kept by hard links. */
  readonly needsHardLinks: boolean;
}

/**
 * Looks where a run's directory will be. Creates nothing. A snapshot's is in its repository, which must not lie in another one.
 * @throws StorageError `DestinationGone`, `TargetInvalid`, `TargetInsideRepository`, errno names
 */
export function inspectRun(location: RunLocation): RunGround {
  const ground = groundOf(location);
  if (location.area === undefined) refuseInsideRepository(location.destination);
  else refuseNested(location.destination);
  return ground;
}

function groundOf(location: RunLocation): RunGround {
  const missingDirectories = missingParents(location.root, `${runsDirectory(location)}/-`);
  const nearest = join(location.destination, '-');
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
 * @throws StorageError `NotOwnRun`, `DestinationGone`, `StagingRevoked`, `NoHardLinks`, errno names
 */
export function openRun({ location, owner, ground, needsHardLinks }: OpenRunRequest): void {
  const { root, destination } = location;
  const run = runDirectory(location);
  blaming('destination', destination, () => {
    requireDestination(ground.destination);
    refuseRevoked(location, run);
    refuseForeign(location, owner);
    createParents(root, missingParents(root, `${run}/-`));
    fs.chmodSync(join(destination, '.file-backup'), 0o700);
    for (const name of [runEntries.journal, runEntries.staging]) makeDirectory(join(run, name));
    writeOwner(run, owner);
    if (needsHardLinks) requireHardLinks(join(run, runEntries.staging), destination);
    fs.writeFileSync(join(run, runEntries.reserve), Buffer.alloc(RESERVE_BYTES, 1), { mode: 0o600 });
    syncDirectory(run);
    syncDirectory(runsDirectory(location));
  });
}

/** @throws StorageError `NotOwnRun` unless the run is the one that asks, `DestinationGone` when its directory is not where it was */
export function requireOwner(location: RunLocation, owner: RunOwner): void {
  requireRun(location);
  refuseForeign(location, owner);
}

/** As `requireOwner`, for steps that may find their work done and the run removed. @throws StorageError `NotOwnRun` */
export function refuseForeign(location: RunLocation, owner: RunOwner, run = runDirectory(location)): void {
  const path = join(run, runEntries.owner);
  const found = readOwnRecord(path, ownerRecord);
  if (found === undefined || isSameOwner(found, owner)) return;
  throw new StorageError('NotOwnRun', 'destination', path, `The run ${location.runId} in ${location.destination} belongs to another workflow`);
}

/** What cannot be read as an owner is nobody's. */
const ownerRecord: OwnRecord<RunOwner> = {
  side: 'destination',
  maxBytes: 64 * 1024,
  shape: stagingOwner,
  refuse: (path, why, cause) => new StorageError('NotOwnRun', 'destination', path, `The run's owner ${path} is nobody: it ${why}`, {}, { cause }),
};

function isSameOwner(found: RunOwner, { clusterId, namespace, workflowId, runId }: RunOwner): boolean {
  return found.clusterId === clusterId && found.namespace === namespace && found.workflowId === workflowId && found.runId === runId;
}

/** @throws StorageError `DestinationGone` when the run's directory is not where it was: a disk that is away takes it along */
export function requireRun(location: RunLocation): void {
  const path = join(runDirectory(location), runEntries.owner);
  if (blaming('destination', path, () => lstatIfPresent(path)) !== undefined) return;
  throw new StorageError('DestinationGone', 'destination', location.destination, `The run's directory in ${location.destination} is gone`);
}

/** What a file of a run that is not there means: somebody took it away, unless the whole disk is away. @throws StorageError `DestinationGone` */
export function missingInRun(location: RunLocation, path: string): StorageError {
  requireRun(location);
  return alteredRun(path, 'is missing');
}

function refuseRevoked({ destination }: RunLocation, run: string): void {
  if (fs.existsSync(join(run, runEntries.revoked))) throw new StorageError('StagingRevoked', 'destination', destination, `The run in ${destination} has ended already`);
}

function makeDirectory(path: string): void {
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
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
