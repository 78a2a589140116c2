import type { PreparedStaging } from '../storage/prepare-staging';
import type { ReadBack } from '../storage/read-back';
import type { Unpublished } from '../storage/unpublish-file';
import { attempt, currentOwner, locationOf, type ActivityDependencies, type Attempted, type Operation, type Staged } from './operation';
import { sourceRoot } from './roots';
import { runStep } from './run-step';

/** Undo, commit and take-over: the steps that end an atomic backup. Repeated, each finds its work done. */
export function createClosingSteps({ roots, pool, registry, clusterId }: ActivityDependencies) {
  return {
    /** Undo of publishFile: puts the previous target back, or takes ours away. */
    async unpublishFile({ operation, staged }: { operation: Operation; prepared: PreparedStaging; staged: Staged }): Promise<{ outcome: Unpublished }> {
      return { outcome: await runStep(pool, 'unpublishFile', { location: locationOf(operation, roots), owner: currentOwner(clusterId), expected: staged }) };
    },

    /** Undo of prepareStaging and stageFile: removes the staging directory and the parents that were created. */
    async discardStaging({ operation }: { operation: Operation }): Promise<void> {
      const location = locationOf(operation, roots);
      await runStep(pool, 'discardStaging', { location, owner: currentOwner(clusterId), createdDirectories: registry.findStaging(location)?.createdDirectories });
      registry.remove(location.runId);
    },

    /** The commit: removes the staging directory with the kept previous target. */
    async finalizeFile({ operation }: { operation: Operation }): Promise<void> {
      const location = locationOf(operation, roots);
      await runStep(pool, 'finalizeFile', { location, owner: currentOwner(clusterId) });
      registry.remove(location.runId);
    },

    /** When staging is gone: is the work done already? Null unless the target holds exactly what the source holds. */
    async adoptTarget({ operation }: { operation: Operation }): Promise<{ found: ReadBack | null } & Attempted> {
      const { sourcePath } = operation.input;
      const adopted = await runStep(pool, 'adoptTarget', { location: locationOf(operation, roots), sourceRoot: sourceRoot(roots, sourcePath), sourcePath });
      return { found: adopted ?? null, attempt: attempt() };
    },
  };
}
