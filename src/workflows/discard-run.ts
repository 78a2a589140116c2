import { log, workflowInfo } from '@temporalio/workflow';
import { afterInterruptions } from './attempts';
import { failureOf } from './failure-of';
import { quickSteps } from './proxies';

/** Removes the directory of a run that has no plan: without one nothing was copied. What cannot be removed now is the janitor's. */
export async function discardRun(): Promise<void> {
  try {
    const request = { runId: workflowInfo().firstExecutionRunId };
    await afterInterruptions(() => quickSteps.discardRun.executeWithOptions({ summary: 'remove the run that has no plan', retry: { maximumAttempts: 3, initialInterval: '1 s' } }, [request]));
  } catch (error) {
    log.warn('A run without a plan could not be removed', { error: failureOf(error).message });
  }
}
