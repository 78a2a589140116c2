import { dirname, join } from 'node:path';
import type { AllowedRoots } from '../activities';
import type { BatchBackupInput } from '../batch-models';
import { BACKUP_BATCH_WORKFLOW, BACKUP_FILE_WORKFLOW, BACKUP_SNAPSHOT_WORKFLOW, RESTORE_SNAPSHOT_WORKFLOW } from '../core/names';
import type { FileBackupInput } from '../models';
import type { RestoreInput } from '../restore-models';
import type { SnapshotInput } from '../snapshot-models';
import { nearestDirectory } from './paths';

/** What the worker of a command may touch: what its run is asked for, and nothing else. */
type Roots = Omit<AllowedRoots, 'trustDestinations'>;

export function fileRoots({ sourcePath, backupPath }: FileBackupInput): Roots {
  return { sources: [nearestDirectory(sourcePath)], ...below(nearestDirectory(backupPath)), only: { sources: [sourcePath], destinations: [backupPath] } };
}

/** @param sourceRoots few directories that hold all of the sources */
export function batchRoots({ backupDir, sources }: BatchBackupInput, sourceRoots: readonly string[]): Roots {
  return { sources: sourceRoots, ...below(nearestDirectory(join(backupDir, '-'))), only: { ...(sources === undefined ? {} : { sources }), destinations: [backupDir] } };
}

export function snapshotRoots({ sources, repository }: SnapshotInput): Roots {
  return { sources, destinations: [repository] };
}

export function restoreRoots({ repository, target }: RestoreInput): Roots {
  return { sources: [repository], ...below(nearestDirectory(join(target, '-'))), only: { destinations: [target] } };
}

/**
 * The root is the root directory, since a run makes the directories that lead to its destination: whoever continues or undoes
 * it finds the nearest directory that is there to be one of those. What may be written is bounded by `only`.
 * @param nearest directory to the destination, by which it is judged to be there
 */
function below(nearest: string): Pick<Roots, 'destinations' | 'guarded'> {
  return { destinations: ['/'], guarded: [nearest] };
}

/** Of a run that is only to be undone, by what it was asked for: what a list names needs to be read no more. */
export function rootsForUndo(workflowType: string, input: object): Roots {
  switch (workflowType) {
    case BACKUP_FILE_WORKFLOW:
      return fileRoots(input as FileBackupInput);
    case BACKUP_BATCH_WORKFLOW:
      return batchRoots(input as BatchBackupInput, [...new Set((input as BatchBackupInput).sources?.map(dirname))]);
    case BACKUP_SNAPSHOT_WORKFLOW:
      return snapshotRoots(input as SnapshotInput);
    case RESTORE_SNAPSHOT_WORKFLOW:
      return restoreRoots(input as RestoreInput);
    default:
      throw new Error(`There is nothing to undo of a run of the type ${workflowType}`);
  }
}
