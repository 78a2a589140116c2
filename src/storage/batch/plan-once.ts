import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { syncDirectory } from '../directory';
import { unlinkIfPresent } from '../entries';
import { blaming, isErrno, StorageError } from '../errors';
import { removeTree } from '../remove-tree';
import type { Shape } from '../records/shape';
import { digestsText, planEntries, readPlanned, type PartDigests, type ProvedPlan } from './plan-digests';
import { runDirectory, runEntries, runPath, type RunLocation } from './run-directory';
import { inRun } from './run-mark';

/** What the writer of a plan has written. */
export interface WrittenPlan<Planned> {
  readonly planned: Planned;
  readonly parts: PartDigests;
}

/**
 * Writes the plan of a run, which gets its name when it is complete and synced. The first one counts: repeated, or late,
 * this answers what was planned then.
 * @param write fills an empty directory, syncs what it wrote, and answers what was planned in numbers
 * @throws StorageError `StagingRevoked`, `RunAltered`, errno names, what `write` throws
 */
export function planOnce<Planned extends object>(location: RunLocation, shape: Shape<Planned>, write: (draft: string) => WrittenPlan<Planned>): ProvedPlan<Planned> {
  return blaming('destination', runPath(location), () => inRun(location, (opened) => planIn(opened, shape, write)));
}

function planIn<Planned extends object>(location: RunLocation, shape: Shape<Planned>, write: (draft: string) => WrittenPlan<Planned>): ProvedPlan<Planned> {
  const run = runDirectory(location);
  const name = `.${randomUUID()}`;
  const draft = join(run, name);
  const earlier = readPlanned(location, shape);
  if (earlier !== undefined) {
    // The attempt that named it may have died before its name was durable.
    syncDirectory(run);
    return earlier;
  }
  fs.mkdirSync(draft, { mode: 0o700 });
  try {
    const { planned, parts } = write(draft);
    const numbers = JSON.stringify(planned);
    writeSynced(join(draft, planEntries.planned), numbers);
    writeSynced(join(draft, planEntries.digests), digestsText(parts, numbers));
    syncDirectory(draft);
    // A run that had come to its end, and was reset to its beginning: what it came to then is not what it comes to now.
    unlinkIfPresent(join(run, runEntries.summary));
    giveName(draft, join(run, runEntries.plan));
    syncDirectory(run);
  } finally {
    removeTree(run, name);
  }
  return readPlanned(location, shape) ?? gone(location);
}

function writeSynced(path: string, data: string): void {
  fs.writeFileSync(path, data, { mode: 0o600, flag: 'wx', flush: true });
}

/** A directory is renamed over an empty one only: another attempt's plan stays. */
function giveName(draft: string, path: string): void {
  try {
    fs.renameSync(draft, path);
  } catch (error) {
    if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  }
}

function gone({ destination }: RunLocation): never {
  throw new StorageError('StagingRevoked', 'destination', destination, `The run in ${destination} ended while it was planned`);
}
