import type { Copied } from '../storage/copy';
import type { ReadFrom } from '../storage/read-back';
import { attempt, type ActivityDependencies, type Attempted, type Operation, type Staged } from './operation';
import { destinationRoot, sourceRoot } from './roots';
import { runStep } from './run-step';

/** The steps of a backup with `atomic: false`: no staging, no undo. */
export function createInPlaceSteps({ roots, pool }: ActivityDependencies) {
  return {
    /** `atomic: false`: copies straight into the target. */
    async writeTarget({ operation }: { operation: Operation }): Promise<Omit<Copied, 'source'> & Attempted> {
      const { sourcePath, backupPath: targetPath, onSourceChanged } = operation.input;
      const { destination, missingDirectories } = operation;
      const root = destinationRoot(roots, targetPath);
      const { sha256, sizeBytes, changed, ownerKept } = await runStep(pool, 'writeTarget', {
        root,
        targetPath,
        destination,
        missingDirectories,
        sourceRoot: sourceRoot(roots, sourcePath),
        sourcePath,
        onSourceChanged,
      });
      return { sha256, sizeBytes, changed, ownerKept, attempt: attempt() };
    },

    /** `atomic: false`: reads the target back. */
    async verifyTarget({ operation, staged }: { operation: Operation; staged: Pick<Staged, 'sha256' | 'sizeBytes'>; finalCycle: boolean }): Promise<{ from: ReadFrom } & Attempted> {
      const { backupPath: targetPath, verifyFrom } = operation.input;
      const { from } = await runStep(pool, 'verifyTarget', { root: destinationRoot(roots, targetPath), targetPath, expected: staged, prefer: verifyFrom });
      return { from, attempt: attempt() };
    },
  };
}
