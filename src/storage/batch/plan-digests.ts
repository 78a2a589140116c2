import { join } from 'node:path';
import { parseRecord, readOwnFile, type OwnRecord } from '../records/own-file';
import { sha256 } from '../records/fields';
import { objectOf, optional, type Shape } from '../records/shape';
import { missingInRun } from './open-run';
import { runDirectory, runEntries, type RunLocation } from './run-directory';
import { alteredRun, digestOf } from './run-proof';

/** Parts of a plan that are one line an entry. */
export type PlanPart = 'plan' | 'tree';

/** Digests of the indexes of a plan's parts; an index holds those of the lines. */
export type PartDigests = Readonly<Partial<Record<PlanPart, string>>> & { readonly plan: string };

/** What vouches for everything in a plan's directory. */
interface PlanDigests {
  readonly plan: string;
  readonly tree?: string;
  /** Of the numbers. */
  readonly planned: string;
}

/** Names inside a plan's directory. */
export const planEntries = { planned: 'planned.json', digests: 'digests.json' } as const;

const digests: OwnRecord<PlanDigests> = { side: 'destination', maxBytes: 1024, shape: objectOf<PlanDigests>({ plan: sha256, tree: optional(sha256), planned: sha256 }), refuse: alteredRun };

export function planPath(location: RunLocation, name: string): string {
  return join(runDirectory(location), runEntries.plan, name);
}

/** The text of the file that vouches for a plan. */
export function digestsText(parts: PartDigests, planned: string): string {
  return JSON.stringify({ ...parts, planned: digestOf(planned) });
}

/** What vouches for a plan, with its own digest. */
export interface ReadDigests extends PlanDigests {
  readonly sha256: string;
}

/**
 * What vouches for a run's plan. Undefined for a plan that was written before there were such files.
 * @throws StorageError `RunAltered` when the run has a proof, and it is not of these
 */
export function readDigests(location: RunLocation): ReadDigests | undefined {
  const path = planPath(location, planEntries.digests);
  const data = readOwnFile(path, digests);
  requireDigest(location, path, data, location.proof?.planSha256);
  return data && { ...parseRecord(data.toString('utf8'), path, digests), sha256: digestOf(data) };
}

/** @throws StorageError `RunAltered` unless the data has the digest, where one is known */
export function requireDigest(location: RunLocation, path: string, data: Buffer | undefined, expected: string | undefined): void {
  if (expected === undefined || (data !== undefined && digestOf(data) === expected)) return;
  throw data === undefined ? missingInRun(location, path) : alteredRun(path, 'has another digest');
}

/** A plan in numbers, with the digest that proves all of it, where something vouches for the plan. */
export type ProvedPlan<Planned> = Planned & { readonly planSha256?: string };

/** Larger than the numbers of any plan, which name a few paths. */
const MAX_PLANNED_BYTES = 16 * 1024 * 1024;

/** What was planned, in numbers; undefined when there is no plan. @throws StorageError `RunAltered`, errno names */
export function readPlanned<Planned extends object>(location: RunLocation, shape: Shape<Planned>): ProvedPlan<Planned> | undefined {
  const path = planPath(location, planEntries.planned);
  const record = { side: 'destination', maxBytes: MAX_PLANNED_BYTES, shape, refuse: alteredRun } as const;
  const found = readDigests(location);
  const data = readOwnFile(path, record);
  requireDigest(location, path, data, found?.planned);
  return data && { ...parseRecord(data.toString('utf8'), path, record), planSha256: found?.sha256 };
}
