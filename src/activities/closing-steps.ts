import type { PreparedStaging } from '../storage/prepare-staging';
import type { ReadBack } from '../storage/read-back';
import type { Unpublished } from '../storage/unpublish-file';
import { ownStaging } from './own-staging';
import { attempt, type ActivityDependencies, type Attempted, type Operation, type Staged } from './operation';
import { sourceRoot } from './roots';
import { runStep } from './run-step';

/** Undo, commit and take-over: the steps that end an atomic backup. Repeated, each finds its work done. */
export function createClosingSteps(dependencies: ActivityDependencies) {
  const { roots, pool, registry } = dependencies;
  return {
    /** Undo of publishFile: puts the previous target back, or takes ours away. */
    async unpublishFile({ operation, staged }: { operation: Operation; prepared: PreparedStaging; staged: Staged }): Promise<{ outcome: Unpublished }> {
      return { outcome: await runStep(pool, 'unpublishFile', { ...(await ownStaging(dependencies, operation)), expected: staged }) };
    },

    /** Undo of prepareStaging and stageFile: removes the staging directory and the parents that were created. */
    async discardStaging({ operation }: { operation: Operation }): Promise<void> {
      const { location, owner } = await ownStaging(dependencies, operation);
      await runStep(pool, 'discardStaging', { location, owner, createdDirectories: registry.findStaging(location)?.createdDirectories });
      registry.remove(location.runId);
    },

    /** The commit: removes the staging directory with the kept previous target. */
    async finalizeFile({ operation }: { operation: Operation }): Promise<void> {
      const { location, owner } = await ownStaging(dependencies, operation);
      await runStep(pool, 'finalizeFile', { location, owner });
      registry.remove(location.runId);
    },

    /** When staging is gone: is the work done already? Null unless the target holds exactly what the source holds. */
    async adoptTarget({ operation }: { operation: Operation }): Promise<{ found: ReadBack | null } & Attempted> {
      const { sourcePath } = operation.input;
      const { location } = await ownStaging(dependencies, operation);
      const adopted = await runStep(pool, 'adoptTarget', { location, sourceRoot: sourceRoot(roots, sourcePath), sourcePath });
      return { found: adopted ?? null, attempt: attempt() };
    },
  };
}
