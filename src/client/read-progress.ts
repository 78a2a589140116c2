import type { BatchProgress } from '../core/batch-progress';
import { noSums } from '../core/batch-sums';

/** What is shown where a worker's answer says nothing. */
const neutral: BatchProgress = {
  ...noSums(),
  state: 'running',
  files: 0,
  sizeBytes: 0,
  chunks: 0,
  current: [],
  passes: 2,
  bytesPerSecond: 0,
  remainingMs: null,
  lanes: 0,
  retryCount: 0,
  waitingFor: null,
  startedAtMs: 0,
};

/** Reads what a worker of any version answers to the `progress` query: a display must not end for a field that it misses. */
export function readProgress(answer: unknown): BatchProgress {
  const known = (typeof answer === 'object' ? answer : null) as Readonly<Record<string, unknown>> | null;
  return Object.fromEntries(Object.entries(neutral).map(([name, value]) => [name, isLike(known?.[name], value) ? known?.[name] : value])) as unknown as BatchProgress;
}

function isLike(value: unknown, other: unknown): boolean {
  if (other === null) return value === null || typeof value === 'number' || typeof value === 'string';
  return value !== null && typeof value === typeof other && Array.isArray(value) === Array.isArray(other);
}
