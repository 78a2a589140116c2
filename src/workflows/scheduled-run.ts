import { defineQuery, setCurrentDetails, setHandler } from '@temporalio/workflow';
import { codeSpan } from '../core/markdown';
import { STATUS_QUERY } from '../core/names';
import type { ScheduledStatus } from '../core/status';

export interface ScheduledOptions {
  /** Id of the snapshot's run: the same as of one that a person starts, so that there is one at a time. */
  readonly workflowId: string;
  /** What the snapshot's run notes in its memo, but for its operation. */
  readonly memo: Readonly<Record<string, unknown>>;
  readonly summary: string;
}

const statusQuery = defineQuery<ScheduledStatus>(STATUS_QUERY);

/** Where one time of a schedule stands. */
export type ScheduledRun = { -readonly [Field in keyof ScheduledStatus]: ScheduledStatus[Field] };

export function startScheduledRun(): ScheduledRun {
  const run: ScheduledRun = { step: 'snapshot', waitingFor: null };
  setHandler(statusQuery, () => ({ ...run }), { description: 'What the schedule is doing' });
  return run;
}

/** Moves on, visibly. */
export function enterStep(run: ScheduledRun, step: ScheduledRun['step'], waitingFor: string | null = null): void {
  Object.assign(run, { step, waitingFor });
  setCurrentDetails([`- **Step**: ${step}`, ...(waitingFor === null ? [] : [`- **Waiting**: ${codeSpan(waitingFor)}`])].join('\n'));
}
