import type { WorkflowExecutionDescription } from '@temporalio/client';
import { boundedText } from '../core/bounded-text';

/** That somebody has paused a run, or a step of it, by Temporal's own means: on the server's word, which nothing proves. */
export interface Pause {
  /** The step, or undefined for the run as a whole. */
  readonly step: string | undefined;
  /** Who they said they were. */
  readonly by: string;
  /** Why, in their words; empty when they did not say. */
  readonly reason: string;
  /** ISO 8601; undefined where the server does not say. */
  readonly since: string | undefined;
}

/** Anybody can write them. */
const MAX_TEXT_BYTES = 300;

/** What of a run is paused, by whom and why: the run itself first. Empty when it is not. */
export function pausesOf({ raw: { workflowExtendedInfo, pendingActivities } }: Pick<WorkflowExecutionDescription, 'raw'>): Pause[] {
  const run = workflowExtendedInfo?.pauseInfo;
  const steps = (pendingActivities ?? []).filter(({ paused }) => paused === true);
  return [
    ...(run ? [{ step: undefined, ...wordsOf(run), since: timeOf(run.pausedTime) }] : []),
    ...steps.map(({ activityType, pauseInfo }) => ({ step: activityType?.name ?? '', ...wordsOf(pauseInfo?.manual ?? pauseInfo?.rule), since: timeOf(pauseInfo?.pauseTime) })),
  ];
}

/** One pause in words: what is paused, by whom, since when and why. */
export function pauseText({ step, by, reason, since }: Pause): string {
  const facts = [step ?? 'the whole run', by === '' ? '' : `by ${by}`, since === undefined ? '' : `since ${since}`].filter((part) => part !== '').join(' ');
  return reason === '' ? facts : `${facts}: ${reason}`;
}

/** What a display says of the first pause of a run; null for none. */
export function pausedText(description: Pick<WorkflowExecutionDescription, 'raw'>): string | null {
  const [first] = pausesOf(description);
  return first === undefined ? null : `paused: ${pauseText(first)}`;
}

function wordsOf(words: { readonly identity?: string | null; readonly reason?: string | null } | null | undefined): Pick<Pause, 'by' | 'reason'> {
  return { by: boundedText(words?.identity ?? '', MAX_TEXT_BYTES), reason: boundedText(words?.reason ?? '', MAX_TEXT_BYTES) };
}

function timeOf(time: { readonly seconds?: unknown; readonly nanos?: number | null } | null | undefined): string | undefined {
  const atMs = Number(time?.seconds ?? NaN) * 1000 + Math.floor((time?.nanos ?? 0) / 1e6);
  return Number.isFinite(atMs) && Math.abs(atMs) < 8.64e15 ? new Date(atMs).toISOString() : undefined;
}
