import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../../core/parse-json';
import { syncDirectory } from '../directory';
import { blaming, isErrno, StorageError } from '../errors';
import { removeTree } from '../remove-tree';
import { runDirectory, runEntries, runPath, type RunLocation } from './run-directory';
import { inRun } from './run-mark';

/** Written last into a plan's directory. */
const PLANNED = 'planned.json';

/**
 * Writes the plan of a run, which gets its name when it is complete and synced. The first one counts: repeated, or late,
 * this answers what was planned then.
 * @param write fills an empty directory, syncs what it wrote, and answers what was planned in numbers
 * @throws StorageError `StagingRevoked`, errno names, what `write` throws
 */
export function planOnce<Planned>(location: RunLocation, write: (draft: string) => Planned): Planned {
  return blaming('destination', runPath(location), () => inRun(location, (opened) => planIn(opened, write)));
}

function planIn<Planned>(location: RunLocation, write: (draft: string) => Planned): Planned {
  const run = runDirectory(location);
  const name = `.${randomUUID()}`;
  const draft = join(run, name);
  const earlier = readPlanned<Planned>(location);
  if (earlier !== undefined) return earlier;
  fs.mkdirSync(draft, { mode: 0o700 });
  try {
    fs.writeFileSync(join(draft, PLANNED), JSON.stringify(write(draft)), { mode: 0o600, flush: true });
    syncDirectory(draft);
    giveName(draft, join(run, runEntries.plan));
    syncDirectory(run);
  } finally {
    removeTree(run, name);
  }
  return readPlanned<Planned>(location) ?? gone(location);
}

/** What was planned, in numbers; undefined when there is no plan. */
export function readPlanned<Planned>(location: RunLocation): Planned | undefined {
  try {
    return parseJson(fs.readFileSync(join(runDirectory(location), runEntries.plan, PLANNED), 'utf8')) as Planned;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
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
