import { applyRetention, DATED_IN_FUTURE, type RetentionPolicy } from '../../core/retention';
import { inGroups, isAskedFor, snapshotGroup, type SnapshotOrigin } from '../../core/snapshot-group';
import type { TransferControl } from '../control';
import { StorageError } from '../errors';
import { refuseNested } from '../inside-repository';
import { findDamage } from './check/find-damage';
import { inodeMemory } from './check/read-inodes';
import { sweepRemoved, unlistSnapshot, type Swept } from './remove-snapshot';
import { readRepository } from './repository';
import { listSnapshots, startedAtMs, type SnapshotRecord } from './snapshot-record';
import { distinctSources } from './sources';

/** Which snapshots of a repository are to stay. */
export interface PruneRequest {
  /** Absolute, without links. */
  readonly repository: string;
  readonly policy: RetentionPolicy;
  /** Snapshots of other hosts, or without any of the tags, are not looked at; no tag stands for all. */
  readonly host?: string;
  readonly tags: readonly string[];
  /** Those with any of these among their sources; none stands for all. */
  readonly sources: readonly string[];
  /** Those that follow each other: of these very sources, and no others. */
  readonly followers?: SnapshotOrigin;
  /** Read the files of snapshots that are to stay: one with damaged files counts for no rule. */
  readonly readData: boolean;
  /** Decide only. */
  readonly dryRun: boolean;
  readonly nowMs: number;
}

/** A snapshot that was decided on; without reasons it goes. */
export interface DecidedSnapshot {
  readonly name: string;
  readonly host: string;
  readonly sources: readonly string[];
  readonly tags: readonly string[];
  readonly status: SnapshotRecord['status'];
  readonly files: number;
  readonly sizeBytes: number;
  readonly reasons: readonly string[];
}

/** The snapshots of one host and set of sources, oldest first. */
export interface PrunedGroup {
  readonly host: string;
  readonly sources: readonly string[];
  readonly keep: readonly DecidedSnapshot[];
  readonly remove: readonly DecidedSnapshot[];
}

/** What pruning came to. */
export interface PruneResult extends Swept {
  readonly groups: readonly PrunedGroup[];
  /** Never removed, and counted for no rule: those whose record is damaged, and of those that were to stay the ones that could not be restored. */
  readonly damaged: readonly { readonly name: string; readonly problem: string }[];
  /** Taken out of the list by this very run. */
  readonly removedSnapshots: number;
}

/** The reason of a snapshot that no rule counts, since something in it is damaged. */
const DAMAGED = 'damaged';

/**
 * Removes the snapshots that a policy does not keep, and what earlier runs have left half deleted. All decisions are made
 * first, and where something is to go what is to stay in its stead is looked at: it must be there and sound. Then the
 * snapshots leave the list, oldest first; then their files go. It may be stopped at any point and repeated.
 * @throws StorageError `InvalidInput` when the policy would leave nothing of a group, `RepositoryNotFound`,
 * `TargetInsideRepository` for one that lies in another one's snapshots, `Cancelled`, errno names
 */
export function pruneRepository(request: PruneRequest, control: TransferControl): PruneResult {
  const { repository, dryRun } = request;
  readRepository(repository);
  refuseNested(repository);
  const listed = listSnapshots(repository);
  const unread = listed.flatMap(({ name, problem }) => (problem === undefined ? [] : [{ name, problem }]));
  const records = listed.flatMap(({ record }) => (record !== undefined && isAskedFor(record, request) && isFollower(record, request) ? [record] : []));
  const { groups, damages } = decideOnSound(records, request, control);
  const damaged = [...unread, ...[...damages].map(([name, problem]) => ({ name, problem }))];
  if (dryRun) return { groups, damaged, removedSnapshots: 0, entries: 0, freedBytes: 0, problems: [] };
  const names = groups.flatMap(({ remove }) => remove.map(({ name }) => name)).sort();
  const removed = names.filter((name) => {
    control.throwIfCancelled();
    return unlistSnapshot(repository, name);
  });
  return { groups, damaged, removedSnapshots: removed.length, ...sweepRemoved(repository, control) };
}

/** Of several sources one below the other a snapshot may name the upper one alone. */
function isFollower(record: SnapshotRecord, { followers }: PruneRequest): boolean {
  if (followers === undefined) return true;
  const distinct = distinctSources(followers.sources.map((path) => ({ path }))).map(({ path }) => path);
  const groups = [[...new Set(followers.sources)], distinct].map((sources) => snapshotGroup({ host: followers.host, sources }));
  return groups.includes(snapshotGroup(record));
}

/** Decides again without each snapshot that was to stay and is found damaged, until all that stay for a reason are sound. */
function decideOnSound(records: readonly SnapshotRecord[], request: PruneRequest, control: TransferControl) {
  const { repository, readData } = request;
  const inodes = inodeMemory(readData ? records.reduce((sum, { counts }) => sum + counts.files, 0) : 0);
  const damages = new Map<string, string>();
  const looked = new Set<string>();
  for (;;) {
    const groups = decide(records, [...damages.keys()], request);
    const relied = groups.flatMap(({ keep, remove }) => (remove.length === 0 ? [] : keep)).filter(({ name, reasons }) => !looked.has(name) && !reasons.includes(DATED_IN_FUTURE));
    const before = damages.size;
    for (const { name } of relied) {
      looked.add(name);
      const damage = findDamage({ repository, snapshot: name, readData, inodes }, control);
      if (damage !== undefined) damages.set(name, damage);
    }
    if (damages.size === before) return { groups, damages };
  }
}

function decide(records: readonly SnapshotRecord[], damaged: readonly string[], { repository, policy, nowMs }: PruneRequest): PrunedGroup[] {
  const candidates = records.filter(({ name }) => !damaged.includes(name)).map((record) => ({ ...record, startedAtMs: startedAtMs(record), group: snapshotGroup(record) }));
  const { decisions, emptiedGroups } = applyRetention(candidates, policy, nowMs);
  const reasons = new Map(decisions.map((decision) => [decision.name, decision.reasons]));
  for (const name of damaged) reasons.set(name, [DAMAGED]);
  const groups = inGroups(records, snapshotGroup);
  for (const group of emptiedGroups) refuse(repository, groups.get(group) ?? []);
  return [...groups.values()].map((members) => {
    const decided = members.map((record) => decidedSnapshot(record, reasons.get(record.name) ?? []));
    const [{ host, sources } = { host: '', sources: [] }] = members;
    return { host, sources, keep: decided.filter((each) => each.reasons.length > 0), remove: decided.filter((each) => each.reasons.length === 0) };
  });
}

function decidedSnapshot({ name, host, sources, tags, status, counts: { files, sizeBytes } }: SnapshotRecord, reasons: readonly string[]): DecidedSnapshot {
  return { name, host, sources, tags, status, files, sizeBytes, reasons };
}

function refuse(repository: string, [first, ...others]: readonly SnapshotRecord[]): never {
  throw new StorageError(
    'InvalidInput',
    'destination',
    repository,
    `Nothing was removed: the policy keeps no snapshot of host ${first?.host ?? ''} and sources ${first?.sources.join(', ') ?? ''}, of which there are ${others.length + 1}`,
  );
}
