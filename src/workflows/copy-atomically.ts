import { CancellationScope } from '@temporalio/workflow';
import type { Operation, Staged } from '../activities';
import { failureOf } from './failure-of';
import { enter, noteCopy, type FileRun } from './file-run';
import { commitSteps, quickSteps, transferSteps, undoSteps } from './proxies';
import type { Saga } from './saga';
import { compare, runStep, waitForFreshCopy } from './step';

/** Stages, verifies, publishes, commits. Every undo is registered before the step that it undoes. */
export async function copyAtomically(run: FileRun, operation: Operation, saga: Saga): Promise<void> {
  saga.register('discardStaging', () => undoSteps.discardStaging.executeWithOptions({ summary: 'undo: remove what was staged' }, [{ operation }]));
  try {
    await stageAndPublish(run, operation, saga);
  } catch (error) {
    // Work ahead of history: after a server lost its last moments the target may be finished and staging gone.
    if (failureOf(error).type !== 'StagingRevoked' || !(await adopt(run, operation))) throw error;
  }
  await finalize(run, operation);
}

async function stageAndPublish(run: FileRun, operation: Operation, saga: Saga): Promise<void> {
  const prepared = await runStep(run, 'prepare', 'create the staging directory', (options) => quickSteps.prepareStaging.executeWithOptions(options, [{ operation }]));
  if (!prepared.hardLinks) run.warnings.push('The destination has no hard links: a target that somebody else creates at the same moment could be replaced unseen.');
  const staged = await stageVerified(run, operation);
  saga.register('unpublishFile', async () => {
    const { outcome } = await undoSteps.unpublishFile.executeWithOptions({ summary: 'undo: put the target back as it was' }, [{ operation, prepared, staged }]);
    if (outcome === 'foreign') run.warnings.push('The target holds what somebody else wrote meanwhile: undo left it as it is.');
  });
  const steps = transferSteps(staged.sizeBytes);
  const { by } = await runStep(run, 'publish', 'publish the copy', (options) => steps.publishFile.executeWithOptions(options, [{ operation, prepared, staged }]));
  run.publishedBy = by;
}

/** A copy that reads back wrong is made anew from the source, as often as the input allows. */
async function stageVerified(run: FileRun, operation: Operation): Promise<Staged> {
  const { maxRetries, retryDelayMs, verifyBackup } = operation.input;
  const steps = transferSteps(operation.source.sizeBytes);
  let replaces: string | null = null;
  for (let cycle = 1; ; cycle += 1) {
    const request = { operation, replaces };
    const staged: Staged = await runStep(run, 'stage', 'copy the source', (options) => steps.stageFile.executeWithOptions(options, [request]));
    noteCopy(run, staged);
    if (!verifyBackup) return staged;
    const finalCycle = cycle > maxRetries;
    if (await compare(run, finalCycle, 'read the copy back', (options) => steps.verifyFile.executeWithOptions(options, [{ operation, staged, finalCycle }]))) return staged;
    replaces = staged.name;
    await waitForFreshCopy(run, cycle, retryDelayMs);
  }
}

/** Takes a finished target over when it holds exactly what the source holds. */
async function adopt(run: FileRun, operation: Operation): Promise<boolean> {
  const steps = transferSteps(operation.source.sizeBytes);
  const { found } = await runStep(run, 'publish', 'staging is gone: is the target finished?', (options) => steps.adoptTarget.executeWithOptions(options, [{ operation }]));
  if (found === null) return false;
  noteCopy(run, { ...found, changed: false, ownerKept: true });
  run.checksumMatch = true;
  run.verifiedFrom = found.from;
  run.publishedBy = 'adopted';
  return true;
}

/** The commit. The copy is published and durable, so trouble here is a warning and work for the janitor. */
async function finalize(run: FileRun, operation: Operation): Promise<void> {
  enter(run, 'finalize');
  await CancellationScope.nonCancellable(async () => {
    try {
      await commitSteps.finalizeFile.executeWithOptions({ summary: 'remove the staging directory' }, [{ operation }]);
    } catch (error) {
      run.warnings.push(`The staging directory could not be removed; the worker's janitor will: ${failureOf(error).message}`);
    }
  });
}
