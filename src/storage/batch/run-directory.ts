import { join } from 'node:path';
import type { RunProof } from './run-proof';

/** Where a run of many files keeps its plan, its journal and what it stages: below the destination, named by the run. */
export interface RunLocation {
  /** Allowed root that holds the destination. */
  readonly root: string;
  /** Directory that holds the targets. */
  readonly destination: string;
  /** The run's first run id: the same through every continue-as-new. */
  readonly runId: string;
  /** Snapshots are written apart from the records of batches. */
  readonly area?: 'incoming';
  /** What its files are proved by, from history; absent until it is planned. */
  readonly proof?: RunProof;
}

/** Where the runs of a destination have their directories. */
export function runsDirectory({ destination, area }: Pick<RunLocation, 'destination' | 'area'>): string {
  return join(destination, '.file-backup', area ?? 'runs');
}

export function runDirectory(location: RunLocation): string {
  return join(runsDirectory(location), location.runId);
}

/** Names inside a run's directory. */
export const runEntries = {
  owner: 'owner.json',
  /** Space set aside, so that a full disk can still be written about. */
  reserve: 'reserve',
  /** The plan with its index and sums: one directory, so that they get their name together. */
  plan: 'plan',
  journal: 'journal',
  staging: 'staging',
  revoked: 'staging.revoked',
  summary: 'summary.json',
  failures: 'failures.ndjson',
  manifest: 'manifest.ndjson',
} as const;

/** Journal file of a chunk: fixed width, so that a listing is in order. */
export function journalName(chunk: number): string {
  return `${String(chunk).padStart(9, '0')}.ndjson`;
}
