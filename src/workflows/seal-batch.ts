import { workflowInfo } from '@temporalio/workflow';
import type { Batch, RunSummary } from '../activities';
import { withAttempts } from './attempts';
import { attemptsFor } from './batch-attempts';
import type { FileBatch } from './batch-job';
import { enterPhase, journalsOf } from './batch-run';
import { chunkSteps } from './proxies';

/** Writes the run's record and removes its working files, with the retries of the input. */
export async function sealBatch(run: FileBatch, batch: Batch, state: 'complete' | 'cancelled' | 'failed'): Promise<RunSummary> {
  enterPhase(run, 'sealing');
  const { operationId, metadata, backupDir, layout } = run.input;
  const { workflowId } = workflowInfo();
  const facts = { state, operationId, metadata, backupDir, layout, workflowId, startedAt: new Date(run.startedAtMs).toISOString(), endedAt: new Date().toISOString() };
  return withAttempts(attemptsFor(run), (retry) => chunkSteps.sealRun.executeWithOptions({ summary: 'write manifest and summary', retry }, [{ batch, facts, known: journalsOf(run) }]));
}
