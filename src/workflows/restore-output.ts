import type { RestoreEnd } from '../activities';
import type { RestoreOutput } from '../restore-models';
import { noteEnd } from './note-end';
import type { RestoreRun } from './restore-run';

/** The record of a restore: of what its end added up, or of what its chunks came to when that could not be. */
export function restoreOutput(run: RestoreRun, end: RestoreEnd | undefined, failure: { type: string; message: string } | null): RestoreOutput {
  const counted = { entries: run.backedUp + run.unchanged + run.failed, restored: run.backedUp, unchanged: run.unchanged, failed: run.failed, skipped: 0, sizeBytes: run.copiedBytes };
  const sums = end ?? counted;
  const output: RestoreOutput = {
    success: failure === null && sums.failed === 0,
    operationId: run.input.operationId,
    repository: run.input.repository,
    snapshot: run.batch?.snapshot ?? null,
    target: run.input.backupDir,
    entries: sums.entries,
    restoredEntries: sums.restored,
    unchangedEntries: sums.unchanged,
    failedEntries: sums.failed,
    skippedEntries: sums.skipped,
    skippedByReason: { ...end?.skippedByReason },
    // Plans of earlier versions do not say.
    rightsLeftOut: run.batch?.rightsLeftOut ?? 0,
    restoredBytes: sums.sizeBytes,
    failuresByType: { ...(end?.failuresByType ?? run.failuresByType) },
    failureSample: [...(end?.sample ?? run.sample)],
    failuresPath: end?.failuresPath ?? null,
    skippedSample: [...(end?.skippedSample ?? [])],
    verifiedFrom: end === undefined ? run.verifiedFrom : end.verifiedFrom,
    retryCount: run.retryCount,
    processingTimeMs: Date.now() - run.startedAtMs,
    completedAt: new Date().toISOString(),
    errorCode: failure?.type ?? null,
    errorMessage: failure?.message ?? null,
  };
  record(run, output);
  return output;
}

function record(run: RestoreRun, { success, errorCode, entries, restoredEntries, unchangedEntries, failedEntries, skippedEntries, restoredBytes }: RestoreOutput): void {
  const totals = { totalFiles: entries, successfulFiles: restoredEntries + unchangedEntries, failedFiles: failedEntries, skippedFiles: skippedEntries, totalBytes: restoredBytes };
  noteEnd(run, totals, errorCode !== null ? 'failed' : success ? 'committed' : 'partial');
}
