import type { WorkflowExecutionStatusName } from '@temporalio/client';
import { KEEP_RUNS, type ThreadPool } from '../activities';
import { placesBeside } from '../storage/batch/open-run';
import type { RegisteredRun } from '../storage/staging-registry';

/**
 * Ends a run of many files that is closed and was not sealed: lets nothing publish any more, undoes it where it was all or
 * nothing, and writes the record, so that nothing else stays. Repeated, it finds its work done.
 */
export async function sweepRun({ location, owner, ground, rollBack, chunks, facts, places }: RegisteredRun, status: WorkflowExecutionStatusName, pool: ThreadPool): Promise<void> {
  // Published by one rename, or not at all: what is left of the run is nobody's.
  if (location.area === 'incoming') return void (await pool.run('discardSnapshot', { location, owner }));
  if (chunks === null) return pool.run('discardRun', { location, owner, ground, places: placesBeside(location, places) });
  if (await pool.run('isForgotten', { location, ground })) return;
  const committed = await pool.run('revokeRun', { location, owner });
  if (rollBack && !committed) await undo({ location, owner }, chunks, pool);
  const sealed = { ...facts, state: stateOf(status), endedAt: new Date().toISOString() };
  await pool.run('sealRun', { location, owner, chunks, facts: sealed, keepRuns: KEEP_RUNS });
}

async function undo(own: Pick<RegisteredRun, 'location' | 'owner'>, chunks: number, pool: ThreadPool): Promise<void> {
  for (let chunk = chunks - 1; chunk >= 0; chunk -= 1) await pool.run('undoChunk', { ...own, chunk });
  await pool.run('removeCreatedDirectories', own);
}

/** As a batch that ends by itself would say it. */
function stateOf(status: WorkflowExecutionStatusName): string {
  const states: Partial<Record<WorkflowExecutionStatusName, string>> = { COMPLETED: 'complete', FAILED: 'failed', CANCELLED: 'cancelled' };
  return states[status] ?? 'terminated';
}
