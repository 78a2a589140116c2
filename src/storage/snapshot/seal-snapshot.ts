import * as fs from 'node:fs';
import { join } from 'node:path';
import type { JournalSums } from '../../core/journal-sums';
import { withDraft } from '../batch/draft';
import { requireSynced } from '../batch/group-sync';
import type { ChunkSettings } from '../batch/chunk';
import { requireOwner, type RunOwner } from '../batch/open-run';
import { readPlanned } from '../batch/plan-digests';
import { removeRun } from '../batch/remove-run';
import { runDirectory, type RunLocation } from '../batch/run-directory';
import { inRun } from '../batch/run-mark';
import type { TransferControl } from '../control';
import { inDirectory, syncDirectory, type OpenDirectory } from '../directory';
import { blaming, isErrno, StorageError } from '../errors';
import { noteWorker } from '../worker-note';
import { requireIncoming, unlessPublished } from './finished-run';
import { dataDirectory, incomingSnapshot } from './incoming-data';
import { FailureTally, type TalliedFailures } from './failure-tally';
import { plannedSnapshot } from './planned-snapshot';
import { FORMAT_VERSION, incomingDirectory } from './repository';
import { writeEntries } from './write-entries';
import { readRecord, recordText, snapshotEntries, type SnapshotRecord } from './snapshot-record';

/** Facts of the run that go into the record as they are. */
export type SnapshotFacts = Pick<SnapshotRecord, 'name' | 'id' | 'host' | 'tags' | 'startedAt' | 'endedAt' | 'workflowId' | 'runId' | 'operationId' | 'metadata' | 'programVersion'>;

export interface SealSnapshotRequest {
  readonly location: RunLocation;
  readonly owner: RunOwner;
  readonly facts: SnapshotFacts;
  /** What history knows of the run's journals. */
  readonly known?: JournalSums;
  /** Of the run's chunks: some names may have to be read only now. */
  readonly settings: Omit<ChunkSettings, 'location'>;
}

/** A published snapshot, and what only its end has found to fail; nothing of that where an earlier attempt has published it. */
export interface SealedRecord extends SnapshotRecord {
  readonly late: TalliedFailures;
  /** Patterns that left nothing out, of the plan. */
  readonly idleExcludes: readonly string[];
}

/**
 * Completes a snapshot whose chunks are all done: everything that is no file, metadata, checksums and record; makes it
 * durable, and publishes it by one rename. Repeated, it answers what was published.
 * @throws StorageError `PermissionDenied` unless the run belongs to the workflow of the facts, `DestinationGone`,
 *   `DestinationError`, `RunAltered`, `Cancelled`, errno names
 */
export function sealSnapshot(request: SealSnapshotRequest, control: TransferControl): SealedRecord {
  const { location } = request;
  const { destination } = location;
  return blaming('destination', destination, () => {
    const published = adopted(request);
    const record = published !== undefined ? withoutFindings(published) : unlessPublished(location, () => inRun(location, (opened) => complete({ ...request, location: opened }, control)), withoutFindings);
    // What is left of the run: plan, journals, owner.
    removeRun({ location, owner: request.owner }, control);
    inDirectory(location.root, incomingDirectory(destination), 'destination', (incoming) => incoming.sync());
    return record;
  });
}

/** What was found on the way is not in the record. */
function withoutFindings(published: SnapshotRecord): SealedRecord {
  return { ...published, late: new FailureTally().total(), idleExcludes: [] };
}

function complete(request: SealSnapshotRequest, control: TransferControl): SealedRecord {
  requireIncoming(request.location);
  noteWorker(runDirectory(request.location), request.location.runId);
  const { record, ...found } = writeRecord(request, control);
  const { root, destination } = request.location;
  // Opened only now: writing the record has taken a while, and this is what it is published in.
  return { ...inDirectory(root, destination, 'destination', (repository) => publish(request, record, repository, control)), ...found };
}

/** What an attempt has published that may have died before the snapshot's name was durable; undefined while none has. */
function adopted(request: SealSnapshotRequest): SnapshotRecord | undefined {
  const record = publishedRecord(request);
  const { root, destination } = request.location;
  if (record !== undefined) inDirectory(root, destination, 'destination', (repository) => repository.sync());
  return record;
}

/** Undefined while it is not published. */
function publishedRecord({ location: { destination, runId }, facts }: SealSnapshotRequest): SnapshotRecord | undefined {
  try {
    const record = readRecord(destination, facts.name);
    if (record.runId === runId) return record;
  } catch (error) {
    if (isErrno(error, 'SnapshotNotFound')) return undefined;
    throw error;
  }
  throw new StorageError('DestinationConflict', 'destination', destination, `There is a snapshot ${facts.name} of another run in ${destination}`);
}

function publish(request: SealSnapshotRequest, record: SnapshotRecord, repository: OpenDirectory, control: TransferControl): SnapshotRecord {
  const { location, settings } = request;
  if (settings.syncEach) [dataDirectory(location), incomingSnapshot(location)].forEach(syncDirectory);
  else requireSynced(location, control);
  try {
    fs.renameSync(incomingSnapshot(location), repository.entry(record.name));
  } catch (error) {
    // Another attempt was faster.
    const published = isErrno(error, 'ENOENT') ? adopted(request) : undefined;
    if (published === undefined) throw error;
    return published;
  }
  repository.sync();
  syncDirectory(runDirectory(location));
  return record;
}

function writeRecord(request: SealSnapshotRequest, control: TransferControl): { readonly record: SnapshotRecord } & Pick<SealedRecord, 'late' | 'idleExcludes'> {
  const { location, owner, facts, settings } = request;
  const run = runDirectory(location);
  requireOwner(location, owner);
  const planned = readPlanned(location, plannedSnapshot);
  if (planned === undefined) throw new StorageError('StagingRevoked', 'destination', location.destination, `The plan of the run in ${location.destination} is gone`);
  const { sums, emptied, late, ...written } = writeEntries(request, planned, control);
  const { sources, parent, leftOut, idleExcludes = [] } = planned;
  const counts = sums.total();
  const record: SnapshotRecord = {
    formatVersion: FORMAT_VERSION,
    ...facts,
    sources,
    parent,
    leftOut,
    ...(emptied.length > 0 ? { emptied } : {}),
    status: counts.failed + emptied.length > 0 ? 'partial' : 'complete',
    counts,
    notKept: [...sums.notKept].sort(),
    ...(sums.damaged.count > 0 ? { damagedCopies: sums.damaged } : {}),
    verifiedFrom: settings.verify === 'none' ? null : sums.verifiedFrom,
    ...written,
  };
  withDraft(run, join('snapshot', snapshotEntries.record), (draft) => {
    draft.append(Buffer.from(recordText(record)));
    draft.close();
  });
  return { record, late, idleExcludes };
}
