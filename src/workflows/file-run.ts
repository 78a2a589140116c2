import { CancellationScope, setCurrentDetails, setHandler, upsertMemo, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { Operation } from '../activities';
import type { BackupState } from '../core/names';
import type { FileBackupStatus, StepLabel } from '../core/status';
import type { FailureType } from '../failures';
import type { FileBackupInput, FileBackupOutput, Rollback } from '../models';
import { bytesKey, operationKey, stateKey } from '../search-attributes';
import { renderDetails } from './details';
import { statusQuery } from './messages';
import { presentableOperationId, presentablePath } from './presentable';
import { isSignedRun, provenEnd, provenMemo } from './proof-state';

/** What a finished copy adds to the record. */
interface CopyFacts {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly changed: boolean;
}

/** The record of a run while it grows, and everything that shows it: query, details, search attributes, output. */
export interface FileRun {
  readonly startedAtMs: number;
  input: FileBackupInput;
  operation: Operation | undefined;
  retryCount: number;
  copied: CopyFacts | undefined;
  checksumMatch: boolean | null;
  verifiedFrom: FileBackupOutput['verifiedFrom'];
  publishedBy: FileBackupOutput['publishedBy'];
  readonly warnings: string[];
  step: StepLabel;
  waitingFor: string | null;
  state: BackupState;
}

/** Starts the record; registers the `status` query before anything is awaited. */
export function startFileRun(input: unknown): FileRun {
  const run: FileRun = {
    startedAtMs: Date.now(),
    input: presentable(input),
    operation: undefined,
    retryCount: 0,
    copied: undefined,
    checksumMatch: null,
    verifiedFrom: null,
    publishedBy: null,
    warnings: [],
    step: 'inspect',
    waitingFor: null,
    state: 'active',
  };
  setHandler(statusQuery, () => statusOf(run), { description: 'Where the backup stands' });
  return run;
}

function presentable(input: unknown): FileBackupInput {
  const raw = (typeof input === 'object' ? input : null) as FileBackupInput | null;
  const [sourcePath, backupPath] = [presentablePath(raw?.sourcePath), presentablePath(raw?.backupPath)];
  return { ...raw, sourcePath, backupPath, operationId: presentableOperationId(raw?.operationId) } as FileBackupInput;
}

/** Moves on to a step, visibly. */
export function enter(run: FileRun, step: StepLabel, waitingFor: string | null = null): void {
  run.step = step;
  run.waitingFor = waitingFor;
  setCurrentDetails(renderDetails(statusOf(run), null));
}

/** Keeps what a copy step found out. */
export function noteCopy(run: FileRun, { sizeBytes, sha256, changed, ownerKept }: CopyFacts & { readonly ownerKept: boolean }): void {
  run.copied = { sizeBytes, sha256, changed };
  const warning = 'The owner of the file could not be kept: the worker may not give files away.';
  if (!ownerKept && !run.warnings.includes(warning)) run.warnings.push(warning);
}

/** Ends the run well. */
export function succeed(run: FileRun): FileBackupOutput {
  const rollback: Rollback = { status: run.publishedBy === 'adopted' || run.publishedBy === 'inPlace' ? 'unsupported' : 'notNeeded', steps: [] };
  return close(run, 'committed', outputOf(run, rollback, null));
}

/** Ends the run with a failure; the output says what undo did. */
export function fail(run: FileRun, rollback: Rollback, failure: { type: FailureType; message: string }): FileBackupOutput {
  const states: Record<Rollback['status'], BackupState> = { notNeeded: 'failed', performed: 'rolledBack', failed: 'inconsistent', unsupported: 'inconsistent' };
  const output = close(run, states[rollback.status], outputOf(run, rollback, failure));
  // A cancelled run has no failure to carry its record: it goes into the memo.
  if (CancellationScope.current().consideredCancelled) upsertMemo(provenMemo({ output }));
  return output;
}

function close(run: FileRun, state: BackupState, output: FileBackupOutput): FileBackupOutput {
  run.state = state;
  run.step = 'done';
  run.waitingFor = null;
  setCurrentDetails(renderDetails(statusOf(run), output));
  const end = provenEnd(state, output.success ? output.backupSizeBytes : 0);
  if (isSignedRun()) upsertMemo(provenMemo(end));
  // Registered attributes were set by whoever started the run; setting unregistered ones would block it for ever.
  if (workflowInfo().typedSearchAttributes.get(operationKey) !== undefined) {
    upsertSearchAttributes([
      { key: stateKey, value: state },
      { key: bytesKey, value: output.success ? output.backupSizeBytes : 0 },
    ]);
  }
  return output;
}

function statusOf({ state, step, input, operation, retryCount, waitingFor }: FileRun): FileBackupStatus {
  return { state, step, sourcePath: input.sourcePath, backupPath: input.backupPath, sizeBytes: operation?.source.sizeBytes ?? 0, retryCount, waitingFor };
}

function outputOf(run: FileRun, rollback: Rollback, failure: { type: FailureType; message: string } | null): FileBackupOutput {
  const { input, operation, copied } = run;
  return {
    success: failure === null,
    sourcePath: input.sourcePath,
    backupPath: input.backupPath,
    sourceSizeBytes: operation?.source.sizeBytes ?? 0,
    backupSizeBytes: copied?.sizeBytes ?? 0,
    verified: run.checksumMatch !== null,
    checksumMatch: run.checksumMatch,
    transactionId: failure === null && run.publishedBy !== 'inPlace' ? input.operationId : null,
    rollbackPerformed: rollback.status === 'performed',
    processingTimeMs: Date.now() - run.startedAtMs,
    retryCount: run.retryCount,
    operationId: input.operationId,
    completedAt: new Date().toISOString(),
    errorMessage: failure?.message ?? null,
    errorCode: failure?.type ?? null,
    sha256: copied?.sha256 ?? null,
    verifiedFrom: run.verifiedFrom,
    publishedBy: run.publishedBy,
    sourceChanged: copied?.changed ?? false,
    createdDirectories: failure === null ? [...(operation?.missingDirectories ?? [])] : [],
    warnings: [...run.warnings],
    rollback,
  };
}
