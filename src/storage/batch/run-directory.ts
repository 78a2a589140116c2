import { join } from 'node:path';
import { OWN_DIRECTORY, stagingName } from '../../core/names';
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
  /**
   * Existing directory at or below the destination in which the run's directory lies, named after the run: of restores that
   * cannot have it in the destination's own one, and of what they stage on other file systems.
   */
  readonly beside?: string;
  /** What its files are proved by, from history; absent until it is planned. */
  readonly proof?: RunProof;
  /** Inside a step: a path by way of the open descriptor of the run's directory; see `inRun`. Never of an input. */
  readonly handle?: string;
}

/** Where the runs of a destination have their directories; the one that a run is beside. */
export function runsDirectory({ destination, area, beside }: Pick<RunLocation, 'destination' | 'area' | 'beside'>): string {
  return beside ?? join(destination, OWN_DIRECTORY, area ?? 'runs');
}

/** Name of the run's directory in there. */
export function runName({ runId, beside }: Pick<RunLocation, 'runId' | 'beside'>): string {
  return beside === undefined ? runId : stagingName(runId);
}

/** The directory in which the run makes everything of its own. */
export function runHolder({ destination, beside }: Pick<RunLocation, 'destination' | 'beside'>): string {
  return beside ?? destination;
}

/** By what a run's own files are named: within `inRun` nobody can put another directory in its place. */
export function runDirectory(location: RunLocation): string {
  return location.handle ?? runPath(location);
}

/** Where the run's directory is, for messages and results. */
export function runPath(location: RunLocation): string {
  return join(runsDirectory(location), runName(location));
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
