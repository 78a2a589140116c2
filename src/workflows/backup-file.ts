import { ApplicationFailure, CancellationScope, CancelledFailure } from '@temporalio/workflow';
import type { FileBackupInput, FileBackupOutput, Rollback } from '../models';
import { copyAtomically } from './copy-atomically';
import { copyInPlace } from './copy-in-place';
import { failureOf } from './failure-of';
import { enter, fail, startFileRun, succeed, type FileRun } from './file-run';
import { quickSteps } from './proxies';
import { createSaga, type Saga, type UndoStep } from './saga';
import { runStep } from './step';

/**
 * Backs one file up: inspect → prepare → stage → verify → publish → finalize. Fails with a typed failure whose first
 * detail is the complete output record. History holds some 50 events, and about eight more for each retry of a copy
 * that did not verify and for each wait for an open circuit; both are bounded by the policies.
 */
export async function backupFile(input: FileBackupInput): Promise<FileBackupOutput> {
  const run = startFileRun(input);
  const saga = createSaga();
  try {
    const operation = await runStep(run, 'inspect', 'inspect source and target', (options) => quickSteps.inspectFile.executeWithOptions(options, [{ input }]));
    run.operation = operation;
    run.input = operation.input;
    // So far nothing was touched, and a run that ends here needs no undo.
    if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('Cancelled before anything was copied');
    await (run.input.atomic ? copyAtomically(run, operation, saga) : copyInPlace(run, operation));
    return succeed(run);
  } catch (error) {
    throw await undone(run, saga, error);
  }
}

/** Undoes what was done and answers what the run ends with: the cancellation itself, or a typed failure. */
async function undone(run: FileRun, saga: Saga, error: unknown): Promise<unknown> {
  const original = failureOf(error);
  enter(run, 'undo', original.message);
  const steps = await saga.undo();
  const rollback: Rollback = { status: rollbackStatus(run, saga, steps), steps };
  const failed = steps.filter(({ status }) => status === 'failed');
  if (failed.length === 0) {
    const output = fail(run, rollback, original);
    return original.type === 'Cancelled' ? error : typedFailure(original.type, original.message, [output], error);
  }
  const rollbackErrors = failed.map(({ step, message }) => `${step}: ${message ?? ''}`);
  const message = `${original.message} Undo failed too: ${rollbackErrors.join('; ')}`;
  const output = fail(run, rollback, { type: 'RollbackFailed', message });
  const { type, message: originalMessage } = original;
  return typedFailure('RollbackFailed', message, [output, { originalError: { type, message: originalMessage }, rollbackErrors }], error);
}

function rollbackStatus(run: FileRun, saga: Saga, steps: readonly UndoStep[]): Rollback['status'] {
  if (run.publishedBy === 'inPlace') return 'unsupported';
  if (!saga.isTouched) return 'notNeeded';
  return steps.every(({ status }) => status === 'performed') ? 'performed' : 'failed';
}

function typedFailure(type: string, message: string, details: unknown[], error: unknown): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true, details, cause: error instanceof Error ? error : undefined });
}
