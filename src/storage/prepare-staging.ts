import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { revokedName, stagingName } from '../core/names';
import { inParent, using, type OpenDirectory } from './directory';
import { unlinkIfPresent } from './entries';
import { blaming, isErrno, StorageError } from './errors';
import { lstatIfPresent } from './file-stat';
import { canLinkIn } from './hard-links';
import { requireReplaceable } from './inspect-file';
import { makeOwn } from './make-directory';
import { createParents } from './parents';
import { explainMissing, openStaging, requireDestination, type StagingLocation } from './staging';
import { readRecord, recordText, RECORD_DRAFT, RECORD_NAME, type PreparedStaging, type StagingOwner, type StagingRecord } from './staging-mark';

export type { PreparedStaging, StagingOwner } from './staging-mark';

/**
 * Creates missing parents and the staging directory, 0700, and writes down what the target was. Repeated, it answers
 * what it answered first. No other step ever creates the directory.
 * @throws StorageError `DestinationGone`, `DestinationNotTrusted`, `StagingRevoked`, `TargetInvalid`, errno names
 */
export function prepareStaging(location: StagingLocation, owner: StagingOwner, missingDirectories: readonly string[]): PreparedStaging {
  const { root, targetPath } = location;
  requireDestination(location.destination);
  createParents(root, missingDirectories);
  return explainMissing(location, () =>
    inParent(root, targetPath, 'destination', (parent, name) =>
      blaming('destination', targetPath, () => {
        const { previous, hardLinks } = using(makeStaging(parent, location), (staging) => recordOf(staging, location, { owner, createdDirectories: missingDirectories }, parent.entry(name)));
        parent.sync();
        return { previous, hardLinks };
      }),
    ),
  );
}

function makeStaging(parent: OpenDirectory, location: StagingLocation): OpenDirectory {
  const { runId, targetPath } = location;
  if (lstatIfPresent(parent.entry(revokedName(runId))) !== undefined) {
    throw new StorageError('StagingRevoked', 'destination', targetPath, `The staging directory of ${targetPath} was revoked already`);
  }
  const name = stagingName(runId);
  const found = lstatIfPresent(parent.entry(name));
  if (found !== undefined && !found.isDirectory()) throw new StorageError('DestinationConflict', 'destination', targetPath, `${name} beside ${targetPath} is not a directory`);
  makeOwn(parent, name).close();
  return openStaging(parent, location);
}

/** What an earlier attempt has written is made durable once more: it may have died before that. */
function recordOf(staging: OpenDirectory, location: StagingLocation, known: Known, target: string): Pick<StagingRecord, 'previous' | 'hardLinks'> {
  const record = readRecord(staging, location) ?? writeRecord(staging, location, known, target);
  staging.sync();
  return record;
}

/** What a record says that the target does not. */
type Known = Pick<StagingRecord, 'owner' | 'createdDirectories'>;

/** Written aside, synced, then given its name exclusively: of two attempts at once, the second takes the first's answer. */
function writeRecord(staging: OpenDirectory, location: StagingLocation, known: Known, target: string): Pick<StagingRecord, 'previous' | 'hardLinks'> {
  const stats = lstatIfPresent(target);
  const draft = staging.entry(`${RECORD_DRAFT}${randomUUID()}`);
  const final = staging.entry(RECORD_NAME);
  const record: StagingRecord = {
    ...known,
    targetPath: location.targetPath,
    previous: stats === undefined ? null : requireReplaceable(stats, location.targetPath),
    hardLinks: canLinkIn(staging.handle),
  };
  fs.writeFileSync(draft, recordText(record), { mode: 0o600, flag: 'wx', flush: true });
  if (record.hardLinks) linkUnlessPresent(draft, final);
  else fs.renameSync(draft, final);
  unlinkIfPresent(draft);
  return readRecord(staging, location) ?? record;
}

function linkUnlessPresent(existing: string, name: string): void {
  try {
    fs.linkSync(existing, name);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
}
