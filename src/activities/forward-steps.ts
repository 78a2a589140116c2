import { failure } from '../failures';
import type { FileBackupInput } from '../models';
import type { PreparedStaging } from '../storage/prepare-staging';
import type { PublishedBy } from '../storage/publish-file';
import type { ReadFrom } from '../storage/read-back';
import { attemptName } from './attempt-name';
import { attemptsSoFar } from './attempts';
import { ownStaging } from './own-staging';
import { attempt, type ActivityDependencies, type Attempted, type Operation, type Staged } from './operation';
import { destinationRoot, sourceRoot } from './roots';
import { runStep, runSteps } from './run-step';

/** The forward steps of an atomic backup. Each is safe to repeat and to overlap with an earlier attempt of itself. */
export function createForwardSteps(dependencies: ActivityDependencies) {
  const { roots, pool, registry } = dependencies;
  return {
    /** Looks at both ends. Creates nothing. */
    async inspectFile({ input }: { input: FileBackupInput }): Promise<Operation & Attempted> {
      const { sourcePath, backupPath: targetPath } = input;
      const pair = { sourcePath, targetPath, sourceRoot: sourceRoot(roots, sourcePath), targetRoot: destinationRoot(roots, targetPath) };
      const inspected = await runStep(pool, 'inspectFile', pair);
      refuseDeepTarget(targetPath, inspected.missingDirectories);
      return { input, ...inspected, attempt: attempt() };
    },

    /** Creates missing parents and the run's staging directory; answers what the target was before. */
    async prepareStaging({ operation }: { operation: Operation }): Promise<PreparedStaging & Attempted> {
      const { location, owner } = await ownStaging(dependencies, operation);
      return runSteps(pool, async (run) => {
        // What an earlier attempt found missing is there by now, and still to be taken away by undo.
        const createdDirectories = registry.findStaging(location)?.createdDirectories ?? (await run('missingParents', location));
        registry.add({ owner, location, createdDirectories });
        return { ...(await run('prepareStaging', { location, owner, createdDirectories })), attempt: attempt() };
      });
    },

    /** Copies the source into the staging directory, digesting it on the way, and syncs it. */
    async stageFile({ operation, replaces }: { operation: Operation; replaces: string | null }): Promise<Staged> {
      const { sourcePath, onSourceChanged } = operation.input;
      const { name, inode, sha256, sizeBytes, changed, ownerKept } = await runStep(pool, 'stageFile', {
        ...(await ownStaging(dependencies, operation)),
        sourceRoot: sourceRoot(roots, sourcePath),
        sourcePath,
        onSourceChanged,
        attemptName: attemptName(),
        replaces,
      });
      return { name, inode, sha256, sizeBytes, changed, ownerKept, attempt: attempt() };
    },

    /** Reads the staged file back and compares it with what was read from the source. */
    async verifyFile({ operation, staged }: { operation: Operation; staged: Staged; finalCycle: boolean }): Promise<{ from: ReadFrom } & Attempted> {
      const own = await ownStaging(dependencies, operation);
      const { from } = await runStep(pool, 'verifyStagedFile', { ...own, name: staged.name, expected: staged, prefer: operation.input.verifyFrom });
      return { from, attempt: attempt() };
    },

    /** Makes the staged file the target in one step and syncs its name. */
    async publishFile({ operation, staged }: { operation: Operation; prepared: PreparedStaging; staged: Staged }): Promise<{ by: PublishedBy } & Attempted> {
      const by = await runStep(pool, 'publishFile', { ...(await ownStaging(dependencies, operation)), stagedName: staged.name, expected: staged });
      return { by, attempt: attempt() };
    },
  };
}

/** Their names travel with every step of the run: this many bytes of them are 8 levels of the longest path, or 90 of an ordinary one. */
const MAX_MISSING_BYTES = 32 * 1024;

function refuseDeepTarget(path: string, missingDirectories: readonly string[]): void {
  const sizeBytes = missingDirectories.reduce((sum, directory) => sum + Buffer.byteLength(directory), 0);
  if (sizeBytes <= MAX_MISSING_BYTES) return;
  throw failure('TargetInvalid', `Target ${path} lies below ${missingDirectories.length} directories that do not exist; create some of them first`, { path, ...attemptsSoFar() });
}
