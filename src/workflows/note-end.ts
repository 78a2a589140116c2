import { upsertMemo, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { BatchTotals } from '../core/batch-progress';
import type { BackupState } from '../core/names';
import { bytesKey, operationKey, stateKey } from '../search-attributes';
import { enterPhase, type BatchRun } from './batch-run';
import { provenEnd, provenMemo } from './proof-state';

/**
 * Notes what a run of many files came to where listings find it: in its memo, and in its search attributes where the
 * namespace has them.
 * @param memo what else is to be noted
 */
export function noteEnd(run: BatchRun, totals: BatchTotals, state: BackupState, memo: Readonly<Record<string, unknown>> = {}): void {
  enterPhase(run, 'done');
  // Whoever lists runs or adds them up needs no further call for each.
  upsertMemo(provenMemo({ totals, ...provenEnd(state, totals.totalBytes), ...memo }));
  if (workflowInfo().typedSearchAttributes.get(operationKey) === undefined) return;
  upsertSearchAttributes([
    { key: stateKey, value: state },
    { key: bytesKey, value: totals.totalBytes },
  ]);
}
