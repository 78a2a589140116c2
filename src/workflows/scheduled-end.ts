import { ApplicationFailure, ChildWorkflowFailure, TerminatedFailure, upsertMemo, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { BackupState } from '../core/names';
import { failureKinds, type FailureType } from '../failures';
import { bytesKey, stateKey } from '../search-attributes';
import type { SnapshotOutput } from '../snapshot-models';
import { failureOf } from './failure-of';
import { isSignedRun, provenEnd, provenMemo } from './proof-state';

/** What went wrong with a step of a schedule. */
export interface StepFailure {
  readonly type: FailureType;
  readonly message: string;
}

/** Of the snapshot's run too, which is a workflow of its own. */
export function stepFailure(error: unknown): StepFailure {
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  if (cause instanceof TerminatedFailure) return { type: 'Terminated', message: `The snapshot's run was terminated. ${failureKinds.Terminated.hint}` };
  return failureOf(cause);
}

/** The record of a snapshot that came to nothing. */
export function recordOf(error: unknown): SnapshotOutput | null {
  const cause = error instanceof ChildWorkflowFailure ? error.cause : undefined;
  const record: unknown = cause instanceof ApplicationFailure ? cause.details?.[0] : undefined;
  return typeof record === 'object' && record !== null && 'success' in record ? (record as SnapshotOutput) : null;
}

/** Notes where listings find it what a time of a schedule came to. */
export function noteScheduledEnd(snapshot: SnapshotOutput | null, failures: readonly StepFailure[]): void {
  const state: BackupState = failures.length > 0 ? 'failed' : snapshot?.status === 'partial' ? 'partial' : 'committed';
  const sizeBytes = snapshot?.copiedBytes ?? 0;
  if (isSignedRun()) upsertMemo(provenMemo(provenEnd(state, sizeBytes)));
  if (workflowInfo().typedSearchAttributes.get(stateKey) === undefined) return;
  upsertSearchAttributes([
    { key: stateKey, value: state },
    { key: bytesKey, value: sizeBytes },
  ]);
}
