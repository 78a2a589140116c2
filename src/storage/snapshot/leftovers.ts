import * as fs from 'node:fs';
import { basename, join } from 'node:path';
import type { TransferControl } from '../control';
import { inDirectory, type OpenDirectory } from '../directory';
import { blaming, isErrno, StorageError } from '../errors';
import { ifThere, measure } from '../measure';
import { workerOf, type WorkerState } from '../worker-note';
import { isOfRemoved } from './remove-snapshot';
import { removeTree } from '../remove-tree';
import { incomingDirectory, removedDirectory } from './repository';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** How long what a run has left is kept unless somebody says otherwise: until then the same command may go on with it. */
export const LEFTOVERS_AFTER_MS = 7 * DAY_MS;

/** Without a word of who works in it, it may be a run of another host that waits for something. */
const UNKNOWN_IS_LEFT_AFTER_MS = HOUR_MS;
const UNKNOWN_IS_REMOVED_AFTER_MS = DAY_MS;

/** What stands in a repository's own directory and belongs to nobody who is at work. */
export interface Leftover {
  /** Below the repository. */
  readonly path: string;
  /** A snapshot that was never published, what a repair had put aside, or a snapshot that is half deleted. */
  readonly kind: 'snapshot' | 'repair' | 'removed';
  /** Of files that have no other name. */
  readonly sizeBytes: number;
  /** When anything in it was last changed. */
  readonly changedAt: string;
  readonly worker: Exclude<WorkerState, 'alive'>;
}

/** Names of runs are those of workflow runs; a run that is given up has one more word. */
const RUN = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.revoked)?$/;
const REPAIR = /^repair-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * What runs, repairs and removals have left behind that were killed, and whose worker has ended as far as this host can
 * tell; where nobody can tell, what has not changed for an hour. What nothing here has made is not named. Changes nothing.
 * @throws StorageError `Cancelled`, errno names
 */
export function findLeftovers({ repository, nowMs }: { readonly repository: string; readonly nowMs: number }, control: TransferControl): Leftover[] {
  const incoming = entriesOf(repository, incomingDirectory(repository), (name) => (RUN.test(name) ? 'snapshot' : REPAIR.test(name) ? 'repair' : undefined), control);
  const removed = entriesOf(repository, removedDirectory(repository), (name) => (isOfRemoved(name) ? 'removed' : undefined), control);
  return [...incoming.filter((each) => isLeft(each, nowMs)), ...removed];
}

function isLeft({ worker, changedAt }: Leftover, nowMs: number): boolean {
  return worker === 'ended' || nowMs - Date.parse(changedAt) >= UNKNOWN_IS_LEFT_AFTER_MS;
}

export interface SweepLeftoversRequest {
  readonly repository: string;
  /** Remove what has not changed for so long. What a repair has left is of no use to anybody, and goes at once. */
  readonly afterMs: number;
  readonly dryRun: boolean;
  readonly nowMs: number;
}

export interface SweptLeftovers {
  readonly removed: readonly Leftover[];
  readonly left: readonly Leftover[];
  readonly problems: readonly string[];
}

/**
 * Removes unpublished snapshots and repairs that nobody works on any more, each moved aside first, so that a step that
 * comes late finds nothing. Where nobody can tell whether somebody does, only what has not changed for a day.
 * @throws StorageError `Cancelled`, errno names
 */
export function sweepLeftovers({ repository, afterMs, dryRun, nowMs }: SweepLeftoversRequest, control: TransferControl): SweptLeftovers {
  const all = findLeftovers({ repository, nowMs }, control).filter(({ kind }) => kind !== 'removed');
  const due = all.filter((each) => isDue(each, afterMs, nowMs));
  const problems = dryRun ? [] : removeAll(repository, due, control);
  return { removed: due, left: all.filter((each) => !due.includes(each)), problems };
}

function isDue({ kind, worker, changedAt }: Leftover, afterMs: number, nowMs: number): boolean {
  const ageMs = nowMs - Date.parse(changedAt);
  const wantedMs = kind === 'repair' ? 0 : afterMs;
  return ageMs >= (worker === 'ended' ? wantedMs : Math.max(wantedMs, UNKNOWN_IS_REMOVED_AFTER_MS));
}

/** Removes what repairs that were killed have put aside. */
export function sweepRepairs(repository: string, control: TransferControl): void {
  const due = findLeftovers({ repository, nowMs: Date.now() }, control).filter((each) => each.kind === 'repair' && isDue(each, LEFTOVERS_AFTER_MS, Date.now()));
  removeAll(repository, due, control);
}

function removeAll(repository: string, leftovers: readonly Leftover[], control: TransferControl): string[] {
  if (leftovers.length === 0) return [];
  const path = incomingDirectory(repository);
  return inDirectory(repository, path, 'destination', (incoming) => {
    const problems = leftovers.flatMap((leftover) => {
      try {
        blaming('destination', join(repository, leftover.path), () => removeOne(incoming, basename(leftover.path), control));
        return [];
      } catch (error) {
        if (!(error instanceof StorageError) || error.code === 'Cancelled') throw error;
        return [error.message];
      }
    });
    incoming.sync();
    return problems;
  });
}

function removeOne(incoming: OpenDirectory, name: string, control: TransferControl): void {
  const aside = name.endsWith('.revoked') || REPAIR.test(name) ? name : `${name}.revoked`;
  try {
    if (aside !== name) fs.renameSync(incoming.entry(name), incoming.entry(aside));
  } catch (error) {
    // One was given up before and made again, or both are gone.
    if (!isErrno(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) throw error;
  }
  for (const each of [aside, name]) removeTree(incoming.handle, each, control);
}

function entriesOf(repository: string, path: string, kindOf: (name: string) => Leftover['kind'] | undefined, control: TransferControl): Leftover[] {
  const below = path.slice(repository.length + 1);
  const all = ifThere(() =>
    inDirectory(repository, path, 'source', (directory) =>
      fs.readdirSync(directory.handle).map((name) => {
        const kind = kindOf(name);
        return kind && leftover(directory, name, kind, `${below}/${name}`, control);
      }),
    ),
  );
  return (all ?? []).filter((each) => each !== undefined);
}

/** Undefined for what somebody works on, and for what goes while it is looked at. */
function leftover(directory: OpenDirectory, name: string, kind: Leftover['kind'], path: string, control: TransferControl): Leftover | undefined {
  return ifThere(() => {
    const entry = directory.child(name);
    try {
      const worker = workerOf(entry.handle);
      if (worker === 'alive') return undefined;
      const { sizeBytes, changedMs } = measure(entry, control);
      return { path, kind, sizeBytes, changedAt: new Date(changedMs).toISOString(), worker };
    } finally {
      entry.close();
    }
  });
}
