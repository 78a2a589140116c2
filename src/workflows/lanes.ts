import { ApplicationFailure, condition, workflowInfo } from '@temporalio/workflow';
import type { ChunkResult } from '../activities';
import { failureKinds } from '../failures';
import { addChunk, type BatchRun, type RunPlan } from './batch-run';
import type { ChunkJob } from './chunk-job';
import { backUpChunk, type ChunkWork } from './chunk-lane';

/** As many as `setLanes` may ask for. */
const MOST_LANES = 64;

/** Chunks whose files have sagas; with more of them lanes take no new chunk, since history keeps every file of theirs. */
const MOST_ESCALATED = 4;

/**
 * Works the chunks off: every lane takes the next one until there is none, or until history is long enough to start
 * afresh. Ends when nothing is under way any more; throws what ended the batch, if anything did.
 */
export async function runLanes(run: BatchRun, job: ChunkJob): Promise<void> {
  const escalations: Promise<void>[] = [];
  const lanes = Array.from({ length: MOST_LANES }, (_, lane) => laneOf(run, job, lane, escalations));
  const ended = await Promise.allSettled(lanes);
  ended.push(...(await Promise.allSettled(escalations)));
  const failed = ended.find((each) => each.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** Chunks are left for the next execution. */
export function hasMore(run: BatchRun, { chunks }: Pick<RunPlan, 'chunks'>): boolean {
  return run.returned.length > 0 || run.nextChunk < chunks;
}

async function laneOf(run: BatchRun, job: ChunkJob, lane: number, escalations: Promise<void>[]): Promise<void> {
  for (;;) {
    // A paused batch continues as new as well: messages make history grow.
    await condition(() => run.stopping || !hasMore(run, job) || workflowInfo().continueAsNewSuggested || (!run.paused && lane < run.lanes && run.escalated < MOST_ESCALATED));
    if (run.stopping || !hasMore(run, job) || workflowInfo().continueAsNewSuggested) return;
    const work = { run, job, chunk: takeChunk(run) };
    const escalation = await orStop(run, () => workOn(work));
    if (escalation !== undefined) escalations.push(settledLater(run, escalation));
  }
}

function takeChunk(run: BatchRun): number {
  const chunk = run.returned.shift() ?? run.nextChunk;
  if (chunk === run.nextChunk) run.nextChunk += 1;
  run.current.add(chunk);
  run.unsettled.add(chunk);
  return chunk;
}

/** Backs a chunk up; answers what is still going on with files of it that got sagas, which the lane need not wait for. */
async function workOn(work: ChunkWork): Promise<(() => Promise<void>) | undefined> {
  const { run, chunk } = work;
  let isOver = true;
  try {
    const result = await backUpChunk(work);
    if (result === undefined) {
      run.returned.push(chunk);
    } else if (result.full !== undefined) {
      addChunk(run, chunk, result);
      throw noSpace(result.full);
    } else if (result.singles === null || result.singles.length === 0) {
      addChunk(run, chunk, result);
    } else {
      isOver = false;
      return () => finishSagas(work, result);
    }
    return undefined;
  } finally {
    if (isOver) run.current.delete(chunk);
  }
}

/** What is left would fail file by file. */
function noSpace(full: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(`${full}. ${failureKinds.NoSpace.hint}`, 'NoSpace', {});
}

async function finishSagas(work: ChunkWork, passed: ChunkResult): Promise<void> {
  const { run, job, chunk } = work;
  run.escalated += 1;
  try {
    const { result, cut } = await job.escalate(chunk, passed);
    addChunk(run, chunk, result);
    if (cut !== undefined) throw cut;
  } finally {
    run.escalated -= 1;
    run.current.delete(chunk);
  }
}

/** Its failure is taken note of at the end, together with those of the lanes. */
function settledLater(run: BatchRun, escalation: () => Promise<void>): Promise<void> {
  const settled = orStop(run, escalation);
  settled.catch(() => undefined);
  return settled;
}

/** When something ends the batch, the other lanes finish what they have and take no more, and sagas are cancelled. */
async function orStop<Result>(run: BatchRun, calls: () => Promise<Result>): Promise<Result> {
  try {
    return await calls();
  } catch (error) {
    run.stopping = true;
    run.sagaScope.cancel();
    throw error;
  }
}
