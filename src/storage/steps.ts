import { dirname } from 'node:path';
import { adoptTarget } from './adopt-target';
import type { TransferControl } from './control';
import { OpenDirectory, using } from './directory';
import { isErrno, StorageError } from './errors';
import { inspectFile, type FilePair } from './inspect-file';
import { refuseInsideRepository } from './inside-repository';
import { missingParents } from './parents';
import { prepareStaging, type StagingOwner } from './prepare-staging';
import { probeDestination } from './probe-destination';
import { publishFile, type PublishRequest } from './publish-file';
import type { ReadFrom } from './read-back';
import { stageFile, type StageRequest } from './stage-file';
import { requireDestination, type StagingLocation } from './staging';
import { readOwnStaging, requireOwnStaging } from './staging-record';
import { discardStaging, finalizeFile, unpublishFile, type Published } from './unpublish-file';
import { backUpChunk, whyFull } from './batch/backup-chunk';
import { removeCreatedDirectories } from './batch/created-directories';
import { discardRun, isForgotten } from './batch/discard-run';
import { readReport, type ChunkReport } from './batch/journal';
import { checkJournals, type ChunkRange } from './batch/journal-check';
import type { ChunkTask, EntryFailure, RunSettings } from './batch/chunk';
import { inspectRun, openPlace, openRun, requireOwner, type OpenRunRequest, type RunGround, type RunOwner, type RunPlace } from './batch/open-run';
import { planBatch, type PlanRequest } from './batch/plan-batch';
import { requireBatchRoom, requireRoom, type Need, type Needed } from './batch/room';
import type { RunLocation } from './batch/run-directory';
import { endedRun, isCommitted, sealRun, type SealRequest } from './batch/seal-run';
import { amendJournal, type Amendment } from './batch/write-journal';
import { revokeRun, undoChunk } from './batch/undo-chunk';
import { discardSnapshot } from './snapshot/discard-snapshot';
import { publishedBy, unlessPublished } from './snapshot/finished-run';
import { sweepLeftovers, type SweepLeftoversRequest } from './snapshot/leftovers';
import { planSnapshot, type SnapshotPlanRequest } from './snapshot/plan-snapshot';
import { pruneRepository, type PruneRequest } from './snapshot/prune-repository';
import { readRepository } from './snapshot/repository';
import { sealSnapshot, type SealSnapshotRequest } from './snapshot/seal-snapshot';
import { findSnapshot, futureNames, snapshotNames } from './snapshot/snapshot-record';
import { snapshotChunk } from './snapshot/snapshot-chunk';
import { readSnapshotJournal, snapshotReport } from './snapshot/snapshot-journal';
import { checkSnapshotPart, type CheckPartRequest } from './snapshot/check/check-part';
import { findExtra, type ExtraRequest } from './snapshot/check/find-extra';
import { planCheck, type CheckPlanRequest } from './snapshot/check/plan-check';
import { repairSnapshot, type RepairRequest } from './snapshot/repair/repair-snapshot';
import { closeRestore, type CloseRequest } from './snapshot/restore/close-restore';
import { inspectRestore } from './snapshot/restore/choose-holder';
import { finishRestore, type FinishRequest } from './snapshot/restore/finish-restore';
import { planRestore } from './snapshot/restore/plan-restore';
import { requireRestoreRoom } from './snapshot/restore/restore-needs';
import type { RestoreRequest, RestoreSettings, SnapshotSource } from './snapshot/restore/request';
import { restoreChunk } from './snapshot/restore/restore-chunk';
import { verifyStagedFile, verifyTarget, type ExpectedContent } from './verify-file';
import { writeTarget, type WriteRequest } from './write-target';

/** A staging directory, and the run that asks. */
interface OwnFile {
  readonly location: StagingLocation;
  readonly owner: StagingOwner;
}

/** A run of many files, and the run that asks. */
interface Own {
  readonly location: RunLocation;
  readonly owner: RunOwner;
}

/** Runs the calls if the run is the one that asks. @throws StorageError `NotOwnRun`, `DestinationGone` */
function owned<T>({ location, owner }: Own, calls: (location: RunLocation) => T): T {
  requireOwner(location, owner);
  return calls(location);
}

/** A repository that no link leads to: whatever is below a root by its text is below it in fact. */
interface AllowedRepository {
  /** Allowed root that holds it. */
  readonly root: string;
  readonly repository: string;
}

/** @throws StorageError `RepositoryNotFound`, `RepositoryUnsupported`, `TargetNotCanonical`, errno names */
function openRepository({ root, repository }: AllowedRepository): void {
  try {
    // Whoever owns it: what is read is hostile anyway, and what writes judges it.
    using(OpenDirectory.look(root, repository, 'destination'), () => undefined);
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    throw new StorageError('RepositoryNotFound', 'destination', repository, `There is no repository in ${repository}`, {}, { cause: error });
  }
  readRepository(repository);
}

function outcomeOfSnapshot(location: RunLocation, chunk: number): ChunkReport | undefined {
  const journal = readSnapshotJournal(location, chunk);
  return journal && snapshotReport(journal);
}

/** The storage functions that run in threads, by name: one object in, one out, both fit for structured cloning. */
export const steps = {
  inspectFile: (pair: FilePair) => inspectFile(pair),
  missingParents: ({ root, targetPath }: StagingLocation) => missingParents(root, targetPath),
  prepareStaging: ({ location, owner, createdDirectories }: OwnFile & { createdDirectories: readonly string[] }) => {
    refuseInsideRepository(dirname(location.targetPath));
    readOwnStaging(location, owner);
    return prepareStaging(location, owner, createdDirectories);
  },
  stageFile: ({ owner, ...input }: StageRequest & OwnFile, control: TransferControl) => {
    requireOwnStaging(input.location, owner);
    return stageFile(input, control);
  },
  verifyStagedFile: ({ location, owner, name, expected, prefer }: OwnFile & { name: string; expected: ExpectedContent; prefer: ReadFrom }, control: TransferControl) => {
    requireOwnStaging(location, owner);
    return verifyStagedFile(location, name, expected, prefer, control);
  },
  verifyTarget: (input: { root: string; targetPath: string; expected: ExpectedContent; prefer: ReadFrom }, control: TransferControl) =>
    verifyTarget(input.root, input.targetPath, input.expected, input.prefer, control),
  /** Goes by what was there before, as the staging directory itself says it. */
  publishFile: ({ owner, ...input }: Omit<PublishRequest, 'prepared'> & OwnFile, control: TransferControl) =>
    publishFile({ ...input, prepared: requireOwnStaging(input.location, owner) }, control),
  unpublishFile: ({ location, owner, expected }: OwnFile & { expected: Published }, control: TransferControl) => {
    const own = readOwnStaging(location, owner);
    // Without a record there is nothing left to undo, unless the whole disk is away.
    if (own === undefined) requireDestination(location.destination);
    return own === undefined ? 'untouched' : unpublishFile(location, own, expected, control);
  },
  /** @param input `createdDirectories` as the worker remembers them; where it does not, the staging directory itself says it. */
  discardStaging: ({ location, owner, createdDirectories }: OwnFile & { createdDirectories: readonly string[] | undefined }) => {
    const own = readOwnStaging(location, owner);
    discardStaging(location, createdDirectories ?? own?.createdDirectories ?? []);
  },
  finalizeFile: ({ location, owner }: OwnFile) => {
    readOwnStaging(location, owner);
    finalizeFile(location);
  },
  writeTarget: (input: WriteRequest, control: TransferControl) => {
    refuseInsideRepository(dirname(input.targetPath));
    return writeTarget(input, control);
  },
  adoptTarget: (input: { location: StagingLocation; sourceRoot: string; sourcePath: string }, control: TransferControl) =>
    adoptTarget(input.location, input.sourceRoot, input.sourcePath, control),
  inspectRun: (input: { location: RunLocation }) => inspectRun(input.location),
  openRun: (input: OpenRunRequest) => openRun(input),
  planBatch: (input: PlanRequest, control: TransferControl) => owned(input, () => planBatch(input, control)),
  /** What the run came to, as its record says; undefined while it has none. */
  endedRun: ({ location, owner }: Own) => endedRun(location, owner),
  readOutcome: ({ chunk, ...own }: Own & { chunk: number }) => owned(own, (location) => readReport(location, chunk)),
  backUpChunk: (input: ChunkTask, control: TransferControl) => backUpChunk(input, control),
  whyFull: ({ settings, failures, areMany }: { settings: RunSettings; failures: readonly EntryFailure[]; areMany: boolean }) => whyFull(settings, failures, areMany),
  amendJournal: ({ chunk, amendments, journalTag, ...own }: Own & { chunk: number; amendments: readonly Amendment[]; journalTag?: string }) => owned(own, (location) => amendJournal(location, chunk, amendments, journalTag)),
  /** Answers whether the run is committed: then there is nothing to undo any more. */
  revokeRun: (own: Own) =>
    owned(own, (location) => {
      revokeRun(location);
      return isCommitted(location);
    }),
  checkJournals: ({ owner, ...range }: ChunkRange & Own) => owned({ location: range.location, owner }, () => checkJournals(range)),
  undoChunk: ({ chunk, journalTag, ...own }: Own & { chunk: number; journalTag?: string | null }) => owned(own, (location) => undoChunk(location, chunk, journalTag)),
  removeCreatedDirectories: (own: Own) => owned(own, removeCreatedDirectories),
  discardRun: ({ location, owner, ground, places }: Own & { ground: RunGround; places?: readonly RunPlace[] }) => discardRun(location, owner, ground, places),
  isForgotten: (input: { location: RunLocation; ground: RunGround }) => isForgotten(input.location, input.ground),
  sealRun: ({ owner, ...input }: SealRequest & Own, control: TransferControl) => owned({ location: input.location, owner }, () => sealRun(input, control)),
  openRepository: (input: AllowedRepository) => openRepository(input),
  findSnapshot: ({ wanted, ...input }: AllowedRepository & { wanted: string }) => {
    openRepository(input);
    return findSnapshot(input.repository, wanted);
  },
  /** Names of the first few. */
  futureSnapshots: ({ limit, ...input }: AllowedRepository & { limit: number }) => {
    openRepository(input);
    return futureNames(snapshotNames(input.repository), Date.now()).slice(0, limit);
  },
  planSnapshot: ({ owner, ...input }: SnapshotPlanRequest & Own, control: TransferControl) => owned({ location: input.location, owner }, () => planSnapshot(input, control)),
  readSnapshotOutcome: ({ chunk, ...own }: Own & { chunk: number }) =>
    unlessPublished(own.location, () => owned(own, (location) => outcomeOfSnapshot(location, chunk)), () => undefined),
  /** The snapshot that the run has published; undefined while it has none. */
  publishedSnapshot: ({ location }: Own) => publishedBy(location),
  snapshotChunk: (input: ChunkTask, control: TransferControl) => snapshotChunk(input, control),
  sealSnapshot: (input: SealSnapshotRequest, control: TransferControl) => sealSnapshot(input, control),
  pruneRepository: ({ root, ...input }: PruneRequest & { root: string }, control: TransferControl) => {
    openRepository({ root, repository: input.repository });
    return pruneRepository(input, control);
  },
  sweepLeftovers: ({ root, ...input }: SweepLeftoversRequest & { root: string }, control: TransferControl) => {
    openRepository({ root, repository: input.repository });
    return sweepLeftovers(input, control);
  },
  discardSnapshot: ({ location, owner, startedAt }: Own & { startedAt?: string }, control: TransferControl) => discardSnapshot(location, owner, startedAt, control),
  inspectRestore: (input: RestoreRequest) => inspectRestore(input),
  requireBatchRoom: ({ location, owner, chunks, needed }: Own & { chunks: number; needed: Needed }) => owned({ location, owner }, () => requireBatchRoom(location, chunks, needed)),
  requireSnapshotRoom: ({ location, owner, needed }: Own & { needed: Needed }) => owned({ location, owner }, () => requireRoom([{ directory: location.destination, ...needed }])),
  requireRestoreRoom: ({ location, owner, chunks, needs, source }: Own & { chunks: number; needs: readonly Need[]; source: SnapshotSource }) => owned({ location, owner }, () => requireRestoreRoom(location, chunks, needs, source)),
  openPlace: (input: RunPlace & Own) => openPlace(input),
  planRestore: ({ owner, ...input }: RestoreRequest & Own, control: TransferControl) => owned({ location: input.location, owner }, () => planRestore(input, control)),
  restoreChunk: (input: ChunkTask<RestoreSettings>, control: TransferControl) => restoreChunk(input, control),
  finishRestore: (input: FinishRequest, control: TransferControl) => finishRestore(input, control),
  closeRestore: (input: CloseRequest) => closeRestore(input),
  probeDestination: (input: { root: string }) => probeDestination(input.root),
  planCheck: (input: CheckPlanRequest, control: TransferControl) => planCheck(input, control),
  checkSnapshotPart: (input: CheckPartRequest, control: TransferControl) => checkSnapshotPart(input, control),
  findExtra: (input: ExtraRequest, control: TransferControl) => findExtra(input, control),
  repairSnapshot: (input: RepairRequest, control: TransferControl) => repairSnapshot(input, control),
} as const;

export type Steps = typeof steps;
export type StepName = keyof Steps;
export type StepInput<Name extends StepName> = Parameters<Steps[Name]>[0];
export type StepResult<Name extends StepName> = ReturnType<Steps[Name]>;
