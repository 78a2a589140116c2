import { defaultPayloadConverter, fromPayloadsAtIndex } from '@temporalio/common';
import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import type { BatchProgress } from '../core/batch-progress';
import { CHUNK_STEPS, PLANNING_STEPS } from '../core/names';
import { addChunkTo, noSums, type ChunkSums } from '../core/batch-sums';
import type { BatchState } from '../workflows/batch-run';

type Event = temporal.api.history.v1.IHistoryEvent;
type Payloads = temporal.api.common.v1.IPayloads | null | undefined;

/** What planning answered. */
interface Plan {
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
  readonly input: { readonly verifyBackup?: boolean; readonly lanes?: number };
  readonly location: object;
}

/**
 * How far a batch is, as its history tells: for runs whose worker is gone. The state that an execution took over from
 * the one before is in its input, and every finished chunk in its events.
 */
export async function progressFromHistory(client: Client, workflowId: string, runId: string): Promise<BatchProgress> {
  const { events = [] } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  const carried = carriedBy(events?.[0]);
  const read = readEvents(events ?? [], carried);
  return { ...noSums(), ...read.sums, ...planned(read.plan), state: stateOf(read.plan, carried), current: [], bytesPerSecond: 0, remainingMs: null, retryCount: 0, waitingFor: null, startedAtMs: carried?.startedAtMs ?? startedAtMs(events ?? []) };
}

function readEvents(events: readonly Event[], carried: Partial<BatchState> | undefined) {
  const { finishedChunks, backedUp, unchanged, failed, changed, copiedBytes, unchangedBytes, verifiedFrom, failuresByType, sample } = { ...noSums(), ...carried };
  const sums = { finishedChunks, backedUp, unchanged, failed, changed, copiedBytes, unchangedBytes, verifiedFrom, failuresByType: { ...failuresByType }, sample: [...sample] };
  const scheduled = new Map<string, { step: string; chunk: number }>();
  const results = new Map<number, ChunkSums>();
  let plan = carried?.batch;
  for (const { eventId, activityTaskScheduledEventAttributes: asked, activityTaskCompletedEventAttributes: done } of events) {
    if (asked) scheduled.set(String(eventId), { step: asked.activityType?.name ?? '', chunk: at<{ chunk?: number }>(asked.input, 0)?.chunk ?? -1 });
    const step = done ? scheduled.get(String(done.scheduledEventId)) : undefined;
    if (step !== undefined && PLANNING_STEPS.includes(step.step)) plan = at<Plan>(done?.result, 0);
    // A later result of a chunk is the earlier one, amended.
    if (step !== undefined && [...CHUNK_STEPS, 'amendChunk'].includes(step.step)) results.set(step.chunk, at<ChunkSums>(done?.result, 0) as ChunkSums);
  }
  results.forEach((result) => addChunkTo(sums, result));
  return { plan, sums };
}

/** The last argument, where it is a state and not what the run is asked for. */
function carriedBy(started: Event | undefined): Partial<BatchState> | undefined {
  const input = started?.workflowExecutionStartedEventAttributes?.input;
  const last = at<Partial<BatchState>>(input, (input?.payloads?.length ?? 0) - 1);
  return last?.startedAtMs === undefined ? undefined : last;
}

function planned(plan: Plan | undefined) {
  return { files: plan?.files ?? 0, sizeBytes: plan?.sizeBytes ?? 0, chunks: plan?.chunks ?? 0, passes: plan?.input.verifyBackup === false ? 1 : 2, lanes: plan?.input.lanes ?? 0 };
}

function stateOf(plan: Plan | undefined, carried: Partial<BatchState> | undefined): BatchProgress['state'] {
  if (plan === undefined) return 'planning';
  return carried?.paused === true ? 'paused' : 'running';
}

function startedAtMs([first]: readonly Event[]): number {
  return Number(first?.eventTime?.seconds ?? 0) * 1000;
}

function at<T>(payloads: Payloads, index: number): T | undefined {
  return payloads?.payloads?.[index] === undefined ? undefined : fromPayloadsAtIndex<T>(defaultPayloadConverter, index, payloads.payloads);
}
