import type { SealedSnapshot } from '../activities';
import type { SnapshotOutput } from '../snapshot-models';
import type { SnapshotRun } from './snapshot-run';
import { noteEnd } from './note-end';

const SAMPLE = 20;

/** The record of a snapshot: of what was published, or of why nothing was. */
export function snapshotOutput(run: SnapshotRun, sealed: SealedSnapshot | undefined, failure: { type: string; message: string } | null, rollback: SnapshotOutput['rollback'] = 'notNeeded'): SnapshotOutput {
  const counts = sealed?.counts;
  const planned = run.batch?.failures;
  const { emptied, late } = sealed ?? {};
  const failures = [emptied, planned, late].filter((each) => each !== undefined);
  const output: SnapshotOutput = {
    success: sealed?.status === 'complete',
    operationId: run.input.operationId,
    repository: run.input.backupDir,
    snapshot: sealed?.snapshot ?? null,
    status: sealed?.status ?? null,
    parent: sealed?.parent ?? null,
    files: counts?.files ?? 0,
    newFiles: counts?.newFiles ?? 0,
    changedFiles: counts?.changedFiles ?? 0,
    unchangedFiles: counts?.unchangedFiles ?? 0,
    directories: counts?.directories ?? 0,
    symlinks: counts?.symlinks ?? 0,
    specials: counts?.specials ?? 0,
    failedEntries: (counts?.failed ?? run.failed + (planned?.count ?? 0)) + (emptied?.count ?? 0),
    vanishedFiles: counts?.vanished ?? 0,
    excludedEntries: counts?.excluded ?? 0,
    totalBytes: counts?.sizeBytes ?? 0,
    copiedBytes: counts?.copiedBytes ?? 0,
    failuresByType: failures.reduce((sums, { failuresByType }) => added(sums, failuresByType), run.failuresByType),
    failureSample: [...failures.flatMap(({ sample }) => sample), ...run.sample].slice(0, SAMPLE),
    verifiedFrom: sealed?.verifiedFrom ?? null,
    leftOut: [...(sealed?.leftOut ?? [])],
    notKept: [...(sealed?.notKept ?? [])],
    idleExcludes: [...(sealed?.idleExcludes ?? [])],
    damagedCopies: { count: sealed?.damagedCopies?.count ?? 0, sample: [...(sealed?.damagedCopies?.sample ?? [])] },
    futureSnapshots: [...(sealed?.futureSnapshots ?? [])],
    retryCount: run.retryCount,
    processingTimeMs: Date.now() - run.startedAtMs,
    completedAt: new Date().toISOString(),
    rollback,
    errorCode: failure?.type ?? null,
    errorMessage: failure?.message ?? null,
  };
  record(run, output);
  return output;
}

function added(a: Readonly<Record<string, number>>, b: Readonly<Partial<Record<string, number>>>): Record<string, number> {
  const sums = { ...a };
  for (const [type, count = 0] of Object.entries(b)) sums[type] = (sums[type] ?? 0) + count;
  return sums;
}

function record(run: SnapshotRun, { status, rollback, files, failedEntries, copiedBytes, snapshot }: SnapshotOutput): void {
  const state = status === 'complete' ? 'committed' : status ?? (rollback === 'performed' ? 'rolledBack' : rollback === 'failed' ? 'inconsistent' : 'failed');
  const totals = { totalFiles: files + failedEntries, successfulFiles: files, failedFiles: failedEntries, skippedFiles: 0, totalBytes: copiedBytes };
  noteEnd(run, totals, state, snapshot === null ? {} : { snapshot });
}
