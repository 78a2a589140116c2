import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { syncDirectory } from '../directory';
import { blaming, isErrno, StorageError } from '../errors';
import { createParents, missingParents } from '../parents';
import type { StagingOwner } from '../prepare-staging';
import { runDirectory, runEntries, runsDirectory, type RunLocation } from './run-directory';

/** A few journals of a thousand files each, and the records at the end. */
const RESERVE_BYTES = 2 * 1024 * 1024;

/** Whose run it is: the workflow id stays the same through continue-as-new, the run id is the first one's. */
export type RunOwner = StagingOwner;

/**
 * Makes the run's directory with its fence, the staging directory. Only this step ever makes it; repeated, it finds it.
 * Answers the directories that had to be created for the destination itself.
 */
export function openRun(location: RunLocation, owner: RunOwner): readonly string[] {
  const { root, destination } = location;
  const run = runDirectory(location);
  return blaming('destination', destination, () => {
    const created = missingParents(root, `${destination}/-`);
    createParents(root, created);
    refuseRevoked(location, run);
    createParents(root, missingParents(root, `${run}/-`));
    fs.chmodSync(join(destination, '.file-backup'), 0o700);
    for (const name of [runEntries.journal, runEntries.staging]) makeDirectory(join(run, name));
    writeOwner(run, owner);
    fs.writeFileSync(join(run, runEntries.reserve), Buffer.alloc(RESERVE_BYTES, 1), { mode: 0o600 });
    syncDirectory(run);
    syncDirectory(runsDirectory(destination));
    return created;
  });
}

/** @throws StorageError `PermissionDenied` unless the run belongs to the workflow that asks */
export function requireOwner(location: RunLocation, workflowId: string): void {
  const path = join(runDirectory(location), runEntries.owner);
  const owner = blaming('destination', path, () => JSON.parse(fs.readFileSync(path, 'utf8')) as RunOwner);
  if (owner.workflowId === workflowId) return;
  throw new StorageError('EACCES', 'destination', path, `The run in ${location.destination} belongs to ${owner.workflowId}`);
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
