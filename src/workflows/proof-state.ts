import { workflowInfo, type WorkflowInternalsInterceptor } from '@temporalio/workflow';
import { getActivator } from '@temporalio/workflow/lib/global-attributes';
import type { BackupState } from '../core/names';
import { failure } from '../failures';
import { Bound, type Purpose } from '../proof/bound';

/** Of this run: the sandbox has a module of its own for each. */
let isSigned = false;
let isDemanded = false;
let isReset = false;
let whenReset: (error: Error) => void = () => undefined;

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

/** Rejects when the run is reset, which whoever reaches the server can do to a run of long ago. */
export function untilReset(): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (isReset) reject(wasReset());
    whenReset = reject;
  });
}

/** @throws ApplicationFailure `NotAuthentic` in a run that was reset */
export function requireNoReset(): void {
  if (isReset) throw wasReset();
}

function wasReset(): Error {
  return failure('NotAuthentic', 'The run was reset, and nothing tells who did it');
}

/**
 * A new random seed is how an execution learns that it goes on from the middle of another one's history. The SDK takes
 * the job that says so for itself; what it leaves is the seed.
 */
export function createResetWatch(): WorkflowInternalsInterceptor {
  const seedAtStart = seedNow();
  return {
    activate(input, next) {
      if (!isReset && seedNow() !== seedAtStart) {
        isReset = true;
        whenReset(wasReset());
      }
      next(input);
    },
  };
}

function seedNow(): string {
  return getActivator().randomnessSeed.join();
}
