import type { ActivityOptions } from '@temporalio/common';
import type { Operation } from '../activities';
import { noteCopy, type FileRun } from './file-run';
import { transferSteps } from './proxies';
import { compare, isReportedAndTransient, runStep, waitForFreshCopy } from './step';

/**
 * `atomic: false`: writes the target itself, without staging and without undo. A failed attempt is repeated from here
 * and not by Temporal, because one that timed out may still be writing.
 */
export async function copyInPlace(run: FileRun, operation: Operation): Promise<void> {
  const { maxRetries, retryDelayMs } = operation.input;
  run.publishedBy = 'inPlace';
  for (let cycle = 1; ; cycle += 1) {
    const finalCycle = cycle > maxRetries;
    try {
      if (await writeAndCompare(run, operation, finalCycle)) return;
    } catch (error) {
      if (finalCycle || !isReportedAndTransient(error)) throw error;
    }
    await waitForFreshCopy(run, cycle, retryDelayMs);
  }
}

async function writeAndCompare(run: FileRun, operation: Operation, finalCycle: boolean): Promise<boolean> {
  const steps = transferSteps(operation.source.sizeBytes);
  const once = { maximumAttempts: 1 };
  const write = ({ summary }: ActivityOptions) => steps.writeTarget.executeWithOptions({ summary, retry: once }, [{ operation }]);
  const staged = await runStep(run, 'stage', 'write the target in place', write, false);
  noteCopy(run, staged);
  if (!operation.input.verifyBackup) return true;
  return compare(run, finalCycle, 'read the target back', (options) => steps.verifyTarget.executeWithOptions(options, [{ operation, staged, finalCycle }]));
}
