import type { Client, WorkflowExecutionDescription, WorkflowExecutionInfo } from '@temporalio/client';
import type { BatchTotals } from '../core/batch-progress';
import { Bound, Refused } from '../proof/bound';
import { hasKeys } from './proof';

/** What the client notes in every run's memo. */
export interface RunMemo {
  readonly operationId: string;
  readonly fingerprint: string;
  /** Of a batch the number of files, in words. */
  readonly sourcePath: string;
  /** Of a batch the directory of its targets. */
  readonly backupPath: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a run's memo says, the run's own notes at its end included, as far as it is proven. */
export interface ProvenMemo extends Partial<RunMemo> {
  readonly totals?: BatchTotals;
  /** How a run ended whose input was signed. */
  readonly end?: { readonly state: string; readonly sizeBytes: number };
  /** Of a cancelled run. */
  readonly output?: unknown;
}

/** Reads a memo. What is not authentic is not there. */
export function memoOf(client: Client, info: WorkflowExecutionInfo | WorkflowExecutionDescription): ProvenMemo {
  const fields = Object.entries(info.memo ?? {});
  if (!hasKeys(client)) return Object.fromEntries(fields.filter(([, value]) => !(value instanceof Refused)));
  return Object.fromEntries(fields.flatMap(([field, value]) => (value instanceof Bound && isOf(info, field, value) ? [[field, value.value]] : [])));
}

/** What a run notes of itself; the rest is there from the start. */
const ownNotes: readonly string[] = ['totals', 'output', 'snapshot', 'end'];

/** Who starts a run does not know its id yet: what the run notes itself is bound to it. */
function isOf({ runId }: { readonly runId: string }, field: string, { purpose }: Bound): boolean {
  if (purpose.kind !== 'memo' || purpose.field !== field) return false;
  return ownNotes.includes(field) ? purpose.runId === runId : purpose.runId === undefined || purpose.runId === runId;
}

