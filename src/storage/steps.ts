import { adoptTarget } from './adopt-target';
import type { TransferControl } from './control';
import { inspectFile, type FilePair } from './inspect-file';
import { prepareStaging, type PreparedStaging, type StagingOwner } from './prepare-staging';
import { probeDestination } from './probe-destination';
import { publishFile, type PublishRequest } from './publish-file';
import type { ReadFrom } from './read-back';
import { stageFile, type StageRequest } from './stage-file';
import type { StagingLocation } from './staging';
import { discardStaging, finalizeFile, unpublishFile, type Published } from './unpublish-file';
import { backUpChunk } from './batch/backup-chunk';
import { removeCreatedDirectories } from './batch/created-directories';
import { discardRun, isForgotten } from './batch/discard-run';
import { readReport } from './batch/journal';
import { checkJournals, type ChunkRange } from './batch/journal-check';
import type { ChunkTask } from './batch/chunk';
import { inspectRun, openRun, requireOwner, type OpenRunRequest, type RunGround } from './batch/open-run';
import { planBatch, type PlanRequest } from './batch/plan-batch';
import type { RunLocation } from './batch/run-directory';
import { isCommitted, sealRun, type SealRequest } from './batch/seal-run';
import { amendJournal, type Amendment } from './batch/write-journal';
import { revokeRun, undoChunk } from './batch/undo-chunk';
import { discardSnapshot } from './snapshot/discard-snapshot';
import { planSnapshot, type SnapshotPlanRequest } from './snapshot/plan-snapshot';
import { pruneRepository, type PruneRequest } from './snapshot/prune-repository';
import { readRepository } from './snapshot/repository';
import { sealSnapshot, type SealSnapshotRequest } from './snapshot/seal-snapshot';
import { findSnapshot } from './snapshot/snapshot-record';
import { snapshotChunk } from './snapshot/snapshot-chunk';
import { readSnapshotJournal, snapshotReport } from './snapshot/snapshot-journal';
import { checkSnapshotPart, type CheckPartRequest } from './snapshot/check/check-part';
import { findExtra, type ExtraRequest } from './snapshot/check/find-extra';
import { planCheck, type CheckPlanRequest } from './snapshot/check/plan-check';
import { repairSnapshot, type RepairRequest } from './snapshot/repair/repair-snapshot';
import { closeRestore, type CloseRequest } from './snapshot/restore/close-restore';
import { finishRestore, type FinishRequest } from './snapshot/restore/finish-restore';
import { planRestore } from './snapshot/restore/plan-restore';
import type { RestoreRequest, RestoreSettings } from './snapshot/restore/request';
import { restoreChunk } from './snapshot/restore/restore-chunk';
import { verifyStagedFile, verifyTarget, type ExpectedContent } from './verify-file';
import { writeTarget, type WriteRequest } from './write-target';

/** The storage functions that run in threads, by name: one object in, one out, both fit for structured cloning. */
export const steps = {
  inspectFile: (pair: FilePair) => inspectFile(pair),
  prepareStaging: (input: { location: StagingLocation; owner: StagingOwner; missingDirectories: readonly string[] }) =>
    prepareStaging(input.location, input.owner, input.missingDirectories),
  stageFile: (input: StageRequest, control: TransferControl) => stageFile(input, control),
  verifyStagedFile: (input: { location: StagingLocation; name: string; expected: ExpectedContent; prefer: ReadFrom }, control: TransferControl) =>
    verifyStagedFile(input.location, input.name, input.expected, input.prefer, control),
  verifyTarget: (input: { root: string; targetPath: string; expected: ExpectedContent; prefer: ReadFrom }, control: TransferControl) =>
    verifyTarget(input.root, input.targetPath, input.expected, input.prefer, control),
  publishFile: (input: PublishRequest, control: TransferControl) => publishFile(input, control),
  unpublishFile: (input: { location: StagingLocation; prepared: PreparedStaging; expected: Published }, control: TransferControl) =>
    unpublishFile(input.location, input.prepared, input.expected, control),
  discardStaging: (input: { location: StagingLocation; createdDirectories: readonly string[] }) => discardStaging(input.location, input.createdDirectories),
  finalizeFile: (input: { location: StagingLocation }) => finalizeFile(input.location),
  writeTarget: (input: WriteRequest, control: TransferControl) => writeTarget(input, control),
  adoptTarget: (input: { location: StagingLocation; sourceRoot: string; sourcePath: string }, control: TransferControl) =>
    adoptTarget(input.location, input.sourceRoot, input.sourcePath, control),
  inspectRun: (input: { location: RunLocation }) => inspectRun(input.location),
  openRun: (input: OpenRunRequest) => openRun(input),
  planBatch: (input: PlanRequest, control: TransferControl) => planBatch(input, control),
  readOutcome: (input: { location: RunLocation; chunk: number; workflowId: string }) => {
    requireOwner(input.location, input.workflowId);
    return readReport(input.location, input.chunk);
  },
  backUpChunk: (input: ChunkTask, control: TransferControl) => backUpChunk(input, control),
  amendJournal: (input: { location: RunLocation; chunk: number; amendments: readonly Amendment[]; journalTag?: string }) => amendJournal(input.location, input.chunk, input.amendments, input.journalTag),
  /** Answers whether the run is committed: then there is nothing to undo any more. */
  revokeRun: (input: { location: RunLocation }) => {
    revokeRun(input.location);
    return isCommitted(input.location);
  },
  checkJournals: (input: ChunkRange) => checkJournals(input),
  undoChunk: (input: { location: RunLocation; chunk: number; journalTag?: string | null }) => undoChunk(input.location, input.chunk, input.journalTag),
  removeCreatedDirectories: (input: { location: RunLocation }) => removeCreatedDirectories(input.location),
  discardRun: (input: { location: RunLocation; ground: RunGround }) => discardRun(input.location, input.ground),
  isForgotten: (input: { location: RunLocation; ground: RunGround }) => isForgotten(input.location, input.ground),
  sealRun: (input: SealRequest, control: TransferControl) => sealRun(input, control),
  readRepository: (input: { repository: string }) => readRepository(input.repository),
  findSnapshot: (input: { repository: string; wanted: string }) => {
    readRepository(input.repository);
    return findSnapshot(input.repository, input.wanted);
  },
  planSnapshot: (input: SnapshotPlanRequest, control: TransferControl) => planSnapshot(input, control),
  readSnapshotOutcome: (input: { location: RunLocation; chunk: number; workflowId: string }) => {
    requireOwner(input.location, input.workflowId);
    const journal = readSnapshotJournal(input.location, input.chunk);
    return journal && snapshotReport(journal);
  },
  snapshotChunk: (input: ChunkTask, control: TransferControl) => snapshotChunk(input, control),
  sealSnapshot: (input: SealSnapshotRequest, control: TransferControl) => sealSnapshot(input, control),
  pruneRepository: (input: PruneRequest, control: TransferControl) => pruneRepository(input, control),
  discardSnapshot: (input: { location: RunLocation }, control: TransferControl) => discardSnapshot(input.location, control),
  planRestore: (input: RestoreRequest, control: TransferControl) => planRestore(input, control),
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
