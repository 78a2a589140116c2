import { ApplicationFailure, sleep } from '@temporalio/workflow';
import type { ChunkResult } from '../activities';
import { retryDelayMs } from '../policies';
import { attemptsFor } from './batch-attempts';
import type { BatchRun } from './batch-run';
import type { ChunkJob, ChunkPass } from './chunk-job';
import { withAttempts } from './attempts';
import { patiently } from './patience';

/** One chunk of a run, and what is needed to work on it. */
export interface ChunkWork {
  readonly run: BatchRun;
  readonly job: ChunkJob;
  readonly chunk: number;
}

/**
 * Backs one chunk up. Files that failed in passing are tried again together where they are many, and where all or nothing
 * is asked for: a saga of a file's own would commit it. Undefined when the next execution has to take the chunk up.
 */
export async function backUpChunk(work: ChunkWork): Promise<ChunkResult | undefined> {
  const { run, job, chunk } = work;
  let journalTag: string | undefined;
  for (let pass = 0; ; pass += 1) {
    const result = await patiently(run, chunk, () => attempt(work, { pass, journalTag }), true);
    if (result === undefined) return undefined;
    journalTag = result.journalTag;
    if (result.full !== undefined) return result;
    const isLast = result.passing === 0 || pass >= run.input.maxRetries || (!job.isAllOrNothing && result.singles !== null);
    if (!isLast) await waitForPass(work, pass, result);
    else if (job.isAllOrNothing && result.counts.failed > 0) throw fileFailed(result);
    else return pass >= run.input.maxRetries ? { ...result, singles: [] } : result;
  }
}

async function attempt({ run, job, chunk }: ChunkWork, pass: ChunkPass): Promise<ChunkResult> {
  return withAttempts(attemptsFor(run), (retry) => job.workOn(chunk, pass, retry));
}

async function waitForPass({ run, chunk }: ChunkWork, pass: number, { passing }: ChunkResult): Promise<void> {
  run.retryCount += 1;
  await sleep(retryDelayMs(run.input.retryDelayMs, pass + 1), { summary: `chunk ${chunk + 1}: ${passing} files are tried again` });
}

function fileFailed({ sample: [first] }: ChunkResult): ApplicationFailure {
  return ApplicationFailure.nonRetryable(first?.message ?? 'A file failed', first?.type ?? 'UnexpectedError', {});
}
