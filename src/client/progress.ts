import type { Client } from '@temporalio/client';
import { pausedText } from './pauses';
import { pendingActivities } from './pending-steps';

/** What a live run is doing right now. */
export interface FileProgress {
  readonly isRunning: boolean;
  /** Activity under way, or undefined between two of them. */
  readonly step: string | undefined;
  readonly attempt: number;
  /** Bytes that the current step has read so far. */
  readonly movedBytes: number;
  /** Why the last attempt failed, while the next one is due. */
  readonly lastFailure: string | undefined;
  /** That somebody has paused it by Temporal's own means, in words. */
  readonly paused: string | null;
}

/** Asks the server alone: what a step has done comes from its heartbeats. */
export async function fileProgress(client: Client, workflowId: string, runId: string): Promise<FileProgress> {
  const description = await client.workflow.getHandle(workflowId, runId).describe();
  const [pending] = await pendingActivities(client, description);
  const movedBytes = pending?.heartbeat.movedBytes;
  return {
    isRunning: description.status.name === 'RUNNING' || description.status.name === 'PAUSED',
    step: pending?.step,
    attempt: pending?.attempt ?? 1,
    movedBytes: typeof movedBytes === 'number' ? movedBytes : 0,
    lastFailure: pending?.lastFailure,
    paused: pausedText(description),
  };
}
