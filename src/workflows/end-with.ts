import { ApplicationFailure, CancellationScope, upsertMemo } from '@temporalio/workflow';
import type { FailureType } from '../failures';
import { provenMemo } from './proof-state';

/** Temporal keeps memos small. */
const MEMO_SAMPLE = 3;

/**
 * What a run of many files ends with that did not end well: its failure carries the record, and of a cancelled run the
 * memo does, shortened.
 * @param error what ended it
 */
export function endWith(output: { readonly failureSample: readonly unknown[]; readonly skippedSample?: readonly unknown[] }, type: FailureType, message: string, error: unknown): unknown {
  if (CancellationScope.current().consideredCancelled) upsertMemo(provenMemo({ output: shortened(output) }));
  return type === 'Cancelled' ? error : ApplicationFailure.create({ type, message, nonRetryable: true, details: [output], cause: error instanceof Error ? error : undefined });
}

function shortened<Output extends Parameters<typeof endWith>[0]>({ skippedSample, ...output }: Output) {
  return { ...output, failureSample: output.failureSample.slice(0, MEMO_SAMPLE), ...(skippedSample === undefined ? {} : { skippedSample: skippedSample.slice(0, MEMO_SAMPLE) }) };
}
