import type { Client } from '@temporalio/client';
import type { SerializationContext } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import type { BatchProgress } from '../core/batch-progress';
import { CHUNK_STEPS, PLANNING_STEPS } from '../core/names';
import { addChunkTo, noSums, type ChunkSums } from '../core/batch-sums';
import type { BatchState } from '../workflows/batch-run';
import { Bound } from '../proof/bound';
import { decodedFirst, openedIfProven } from './proof';

type Event = temporal.api.history.v1.IHistoryEvent;
type Payloads = temporal.api.common.v1.IPayloads | null | undefined;

/** What planning answered. */
interface Plan {
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
  readonly room?: BatchProgress['room'];
  readonly input: { readonly verifyBackup?: boolean; readonly lanes?: number };
  readonly location: object;
}

/** Whose history it is. */
interface Run {
  readonly client: Client;
  readonly workflowId: string;
  /** The same through every continue-as-new and reset: steps of before a reset were asked for by another execution. */
  readonly firstRunId: string;
}

/**
 * How far a batch is, as its history tells: for runs whose worker is gone. The state that an execution took over from
 * the one before is in its input, and every finished chunk in its events. What is not authentic does not count.
 */
export async function progressFromHistory(client: Client, workflowId: string, runId: string): Promise<BatchProgress> {
  const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  const run = { client, workflowId, firstRunId: events?.[0]?.workflowExecutionStartedEventAttributes?.firstExecutionRunId ?? runId };
  const carried = await carriedBy(run, events?.[0]);
  const read = await readEvents(run, events ?? [], carried);
  return { ...noSums(), ...read.sums, ...planned(read.plan), state: stateOf(read.plan, carried), current: [], bytesPerSecond: 0, remainingMs: null, retryCount: 0, waitingFor: null, startedAtMs: carried?.startedAtMs ?? startedAtMs(events ?? []) };
}

/** A step that was asked for. */
interface Asked {
  readonly step: string;
  /** What its answer goes by; empty in a run that is not signed. */
  readonly nonce: string;
  readonly chunk: number;
  readonly context: SerializationContext;
}

async function readEvents(run: Run, events: readonly Event[], carried: Partial<BatchState> | undefined) {
  const { finishedChunks, backedUp, unchanged, failed, changed, copiedBytes, unchangedBytes, verifiedFrom, failuresByType, sample } = { ...noSums(), ...carried };
  const sums = { finishedChunks, backedUp, unchanged, failed, changed, copiedBytes, unchangedBytes, verifiedFrom, failuresByType: { ...failuresByType }, sample: [...sample] };
  const scheduled = new Map<string, Asked>();
  const results = new Map<number, ChunkSums>();
  let plan = carried?.batch;
  for (const { eventId, activityTaskScheduledEventAttributes: asked, activityTaskCompletedEventAttributes: done } of events) {
    const request = asked ? await askedFor(run, asked) : undefined;
    if (request !== undefined) scheduled.set(String(eventId), request);
    const known = done ? scheduled.get(String(done.scheduledEventId)) : undefined;
    if (known === undefined) continue;
    if (PLANNING_STEPS.includes(known.step)) plan = await answer<Plan>(run, known, done?.result);
    // A later result of a chunk is the earlier one, amended.
    const chunk = [...CHUNK_STEPS, 'amendChunk'].includes(known.step) ? await answer<ChunkSums>(run, known, done?.result) : undefined;
    if (chunk !== undefined) results.set(known.chunk, chunk);
  }
  results.forEach((result) => addChunkTo(sums, result));
  return { plan, sums };
}

async function askedFor({ client, workflowId, firstRunId }: Run, { activityType, activityId, input }: temporal.api.history.v1.IActivityTaskScheduledEventAttributes): Promise<Asked | undefined> {
  const step = activityType?.name ?? '';
  const context = { type: 'activity' as const, namespace: client.options.namespace, workflowId, activityId: activityId ?? '', isLocal: false };
  const found = await decodedFirst(client, input, context);
  const request = openedIfProven<{ chunk?: number }>(client, found, { kind: 'step', step, firstRunId });
  return request && { step, nonce: found instanceof Bound ? String(found.purpose.nonce) : '', chunk: request.chunk ?? -1, context };
}

async function answer<Result>({ client }: Run, { step, nonce, context }: Asked, result: Payloads): Promise<Result | undefined> {
  return openedIfProven<Result>(client, await decodedFirst(client, result, context), { kind: 'stepResult', step, nonce });
}

/** The last argument, where it is a state and not what the run is asked for. Whether it is this run's the worker has looked at. */
async function carriedBy({ client, workflowId }: Run, started: Event | undefined): Promise<Partial<BatchState> | undefined> {
  const input = started?.workflowExecutionStartedEventAttributes?.input;
  const context = { type: 'workflow' as const, namespace: client.options.namespace, workflowId };
  const last = await decodedFirst(client, input, context, (input?.payloads?.length ?? 0) - 1);
  const state = (last instanceof Bound ? last.value : last) as Partial<BatchState> | undefined;
  return state?.startedAtMs === undefined ? undefined : state;
}

function planned(plan: Plan | undefined) {
  return { files: plan?.files ?? 0, sizeBytes: plan?.sizeBytes ?? 0, chunks: plan?.chunks ?? 0, passes: plan?.input.verifyBackup === false ? 1 : 2, lanes: plan?.input.lanes ?? 0, ...(plan?.room === undefined ? {} : { room: plan.room }) };
}

function stateOf(plan: Plan | undefined, carried: Partial<BatchState> | undefined): BatchProgress['state'] {
  if (plan === undefined) return 'planning';
  return carried?.paused === true ? 'paused' : 'running';
}

function startedAtMs([first]: readonly Event[]): number {
  return Number(first?.eventTime?.seconds ?? 0) * 1000;
}
