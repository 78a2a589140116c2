import { getRandomStream, workflowInfo } from '@temporalio/workflow';
import type { BackupState } from '../core/names';
import { Bound, type Purpose } from '../proof/bound';

/** Of this run: the sandbox has a module of its own for each. */
let isSigned = false;
let isDemanded = false;

export function signRun(): void {
  isSigned = true;
}

/** Where a codec does not mark what nobody has bound: a run whose input is bound to nothing is not to be taken for one of before there were signatures. */
export function demandSignedRun(): void {
  isDemanded = true;
}

export function isSignedRunDemanded(): boolean {
  return isDemanded;
}

/** Whether the run's input was signed: all that it hands out is bound then, and all that it gets has to be. */
export function isSignedRun(): boolean {
  return isSigned;
}

/** What binds a value to this execution and to the chain of executions that it belongs to. */
export function ownRun(): Pick<Purpose, 'runId' | 'firstRunId'> {
  const { runId, firstExecutionRunId } = workflowInfo();
  return { runId, firstRunId: firstExecutionRunId };
}

/** Binds the fields of a memo to this execution, where the run is a signed one. */
export function provenMemo(memo: Readonly<Record<string, unknown>>): Record<string, unknown> {
  if (!isSigned) return { ...memo };
  return Object.fromEntries(Object.entries(memo).map(([field, value]) => [field, new Bound(value, { kind: 'memo', field, ...ownRun() })]));
}

/** How a run ended, for its memo: search attributes cannot be signed. Nothing in a run that is not a signed one. */
export function provenEnd(state: BackupState, sizeBytes: number): Record<string, unknown> {
  return isSigned ? { end: { state, sizeBytes } } : {};
}

/**
 * A name for one request of a step that no other request has, and that stays the same whoever replays it. It goes by the
 * execution's random seed: an execution that goes on from the middle of another one's history after a reset gives the
 * requests that it finds there the names that they had, and others to those that it makes itself.
 */
export function newNonce(): string {
  return getRandomStream('requests of steps').uuid4();
}
