import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { BatchProgress } from '../core/batch-progress';
import { CHUNK_STEPS, PROGRESS_QUERY } from '../core/names';
import { progressFromHistory } from './batch-history';
import { pausedText } from './pauses';
import { pendingActivities } from './pending-steps';
import { askQuery } from './query';
import { firstRunIdOf } from './describe-execution';
import { readProgress } from './read-progress';
import type { StartedRun } from './start-run';

/** A step of a batch that is under way, or waits for its next attempt. */
export interface StepUnderWay {
  readonly step: string;
  readonly attempt: number;
  /** Bytes that it has read so far, over all passes. */
  readonly movedBytes: number;
  /** Files of its chunk that it is done with; of planning, entries that it has looked at. */
  readonly files: number;
  /** The file being worked on; of a long path the end. */
  readonly path: string | undefined;
  /** Why its last attempt failed, while it waits for the next one. */
  readonly lastFailure: string | undefined;
}

/** How far a batch is: finished chunks by the workflow's word, and what is under way by the workers' heartbeats. */
export interface LiveBatchProgress extends BatchProgress {
  readonly isRunning: boolean;
  /** False when the figures come from history, because no worker answered. */
  readonly workerAnswers: boolean;
  readonly underWay: readonly StepUnderWay[];
}

/**
 * Asks the server what is under way and the run's worker what is finished; without a worker that is read from the
 * history. Follows the run through every continue-as-new and reset.
 * @param answerWithinMs 0 where it is known that no worker is there
 */
export async function batchProgress(client: Client, { workflowId, runId, firstRunId }: Pick<StartedRun, 'workflowId' | 'runId' | 'firstRunId'>, answerWithinMs: number): Promise<LiveBatchProgress> {
  const latest = await client.workflow.getHandle(workflowId).describe();
  // The id may have been used again since.
  const description = firstRunIdOf(latest) === firstRunId ? latest : await client.workflow.getHandle(workflowId, runId).describe();
  const isRunning = ['RUNNING', 'PAUSED', 'CONTINUED_AS_NEW'].includes(description.status.name);
  const underWay = await stepsOf(client, description);
  const paused = pausedText(description);
  const shown = (progress: BatchProgress): BatchProgress => ({ ...progress, ...(description.status.name === 'PAUSED' ? { state: 'paused' as const } : {}), waitingFor: paused ?? progress.waitingFor });
  const fromHistory = async (): Promise<LiveBatchProgress> => ({ ...shown(await progressFromHistory(client, workflowId, description.runId)), isRunning, workerAnswers: false, underWay });
  if (answerWithinMs === 0) return fromHistory();
  try {
    const progress = await client.withDeadline(Date.now() + answerWithinMs, () => askQuery<unknown>(client, { workflowId, runId: description.runId }, PROGRESS_QUERY));
    return { ...shown(readProgress(progress)), isRunning, workerAnswers: true, underWay };
  } catch {
    // No worker, or one that is busy: whatever is wrong with the server shows in the next call.
    return fromHistory();
  }
}

async function stepsOf(client: Client, description: WorkflowExecutionDescription): Promise<StepUnderWay[]> {
  const pending = await pendingActivities(client, description);
  return pending.map(({ step, attempt, isWaiting, lastFailure, heartbeat: { movedBytes, files, path } }) => ({
    step,
    attempt,
    movedBytes: numberOr0(movedBytes),
    files: numberOr0(files),
    path: typeof path === 'string' ? path : undefined,
    lastFailure: isWaiting ? lastFailure : undefined,
  }));
}

function numberOr0(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

/** What finished chunks and steps under way come to together, in whole files and bytes. */
export function doneSoFar({ backedUp, unchanged, failed, copiedBytes, unchangedBytes, passes, underWay }: LiveBatchProgress): { readonly files: number; readonly sizeBytes: number } {
  const chunks = underWay.filter(({ step }) => CHUNK_STEPS.includes(step));
  const files = backedUp + unchanged + failed + chunks.reduce((sum, each) => sum + each.files, 0);
  const sizeBytes = copiedBytes + unchangedBytes + chunks.reduce((sum, each) => sum + each.movedBytes / passes, 0);
  return { files, sizeBytes: Math.round(sizeBytes) };
}
