import type { JournalSums } from '../core/journal-sums';
import { placesBeside } from '../storage/batch/open-run';
import type { RunFacts, RunSummary } from '../storage/batch/seal-run';
import type { Batch } from './batch-steps';
import { attempt, type ActivityDependencies, type Attempted } from './operation';
import { ownRun } from './run-location';
import { runStep, runSteps } from './run-step';

/** Old run records are removed, but for so many. */
export const KEEP_RUNS = 30;

/** Undo and end of a batch. Repeated, each finds its work done. */
export function createBatchClosingSteps(dependencies: ActivityDependencies) {
  const { pool, registry } = dependencies;
  return {
    /** The fence: from here on no chunk publishes. Answers whether the run is committed already. */
    async revokeRun({ batch }: { batch: Batch }): Promise<{ committed: boolean }> {
      return { committed: await runStep(pool, 'revokeRun', await ownRun(dependencies, batch.location)) };
    },

    /** Undo of so many chunks below `end`, the last one first. */
    async undoChunks({ batch, end, count, known }: { batch: Batch; end: number; count: number; known?: JournalSums }): Promise<void> {
      const own = await ownRun(dependencies, batch.location);
      await runSteps(pool, async (run) => {
        const first = end - count;
        const tags = known === undefined ? [] : await run('checkJournals', { ...own, first, end, chunks: batch.chunks, known });
        for (let chunk = end - 1; chunk >= first; chunk -= 1) await run('undoChunk', { ...own, chunk, journalTag: tags[chunk - first] });
        if (end === count) await run('removeCreatedDirectories', own);
      });
    },

    /** Ends the run: manifest, failures and summary are written, working files removed. */
    async sealRun({ batch, facts, known }: { batch: Batch; facts: RunFacts; known?: JournalSums }): Promise<RunSummary & Attempted> {
      const { location, owner } = await ownRun(dependencies, batch.location);
      const summary = await runStep(pool, 'sealRun', { location, owner, chunks: batch.chunks, facts: { ...facts, workflowId: owner.workflowId }, known, keepRuns: KEEP_RUNS });
      registry.remove(location.runId);
      return { ...summary, attempt: attempt() };
    },

    /** Ends a run that has no plan, a batch or a restore: nothing of it stays. */
    async discardRun({ runId }: { runId: string }): Promise<void> {
      const entry = registry.findRun(runId);
      // What another worker opened is in that worker's registry, for its janitor.
      if (entry === undefined) return;
      const { owner } = await ownRun(dependencies, entry.location);
      await runStep(pool, 'discardRun', { location: entry.location, owner, ground: entry.ground, places: placesBeside(entry.location, entry.places) });
      registry.remove(runId);
    },
  };
}
