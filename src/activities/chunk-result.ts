import { boundedText } from '../core/bounded-text';
import { codesOf, failureKinds, failureTypeOf, type FailureType } from '../failures';
import type { IllnessRule, RunSettings } from '../storage/batch/chunk';
import type { ChunkReport, FailedEntry } from '../storage/batch/journal';
import type { PlanFailure, PlannedSnapshot } from '../storage/snapshot/planned-snapshot';
import type { RunInThread } from './run-step';
import { fileWorkflowId } from '../workflow-ids';
import { isLastAttempt } from './attempts';
import { attempt, type Attempted } from './operation';

/** A failed file for people: text of bounded length. */
export interface FailedFile {
  readonly path: string;
  readonly type: FailureType;
  readonly message: string;
}

/** A file whose failure may pass, with all that a saga of its own needs. */
export interface PassingFile {
  readonly index: number;
  readonly source: string;
  readonly target: string;
  /** Id of its own saga: the lock of its target. */
  readonly workflowId: string;
}

export interface ChunkResult extends Attempted {
  readonly counts: ChunkReport['counts'];
  readonly sizeBytes: number;
  readonly unchangedBytes: number;
  readonly changed: number;
  readonly verifiedFrom: ChunkReport['verifiedFrom'];
  readonly failuresByType: Readonly<Partial<Record<FailureType, number>>>;
  /** The first few failures, permanent ones first. */
  readonly sample: readonly FailedFile[];
  /** Failures that may pass. */
  readonly passing: number;
  /** Those, where they are few enough for a saga each; null where they are not, or where a name is no text. */
  readonly singles: readonly PassingFile[] | null;
  /** What proves the chunk's journal; undefined in a run that has no proof. */
  readonly journalTag?: string;
  /** Says that the destination is full: what else would be copied would fail in the same way. */
  readonly full?: string;
}

/** Transient failures in one chunk up to which files are tried one by one; more are tried together. */
const MOST_SINGLES = 20;
const SAMPLE = 20;
/** Together far below what a payload may take: paths have up to 4 KiB each. */
const MAX_SINGLES_BYTES = 24 * 1024;
const MAX_TEXT_BYTES = 600;

/** A chunk's report as history keeps it: numbers, and text of bounded length. */
export function resultOf(report: ChunkReport, destination: string, storage: string, full?: string): ChunkResult {
  const failuresByType: Partial<Record<FailureType, number>> = {};
  for (const { failure } of report.failed) failuresByType[typeOf(failure)] = (failuresByType[typeOf(failure)] ?? 0) + 1;
  const passing = passingOf(report, full !== undefined);
  const permanent = report.failed.filter((entry) => !passing.includes(entry));
  const { counts, sizeBytes, unchangedBytes, changed, verifiedFrom, journalTag } = report;
  return {
    ...{ counts, sizeBytes, unchangedBytes, changed, verifiedFrom, failuresByType },
    sample: [...permanent, ...passing].slice(0, SAMPLE).map(sampled),
    passing: passing.length,
    singles: singlesOf(passing, destination, storage),
    journalTag,
    ...(full === undefined ? {} : { full }),
    attempt: attempt(),
  };
}

/** Failures that planning met, as history keeps them. */
export interface PlannedFailures {
  readonly count: number;
  readonly failuresByType: Readonly<Partial<Record<FailureType, number>>>;
  readonly sample: readonly FailedFile[];
}

/** Counts of storage's findings as counts of failure types: several findings are one type. */
export function countsByType(counts: PlannedSnapshot['failureCounts']): Partial<Record<FailureType, number>> {
  const failuresByType: Partial<Record<FailureType, number>> = {};
  for (const { code, side, count } of counts) {
    const type = failureTypeOf(code, side);
    failuresByType[type] = (failuresByType[type] ?? 0) + count;
  }
  return failuresByType;
}

/** What could not be planned: all of it in numbers, and the first few by name. */
export function plannedFailures({ failed, failureCounts, failures }: Pick<PlannedSnapshot, 'failed' | 'failureCounts' | 'failures'>): PlannedFailures {
  return { count: failed, failuresByType: countsByType(failureCounts), sample: failures.map(({ path, failure }) => sampled({ source: path, failure })) };
}

/** Failures that are few, in the same form. */
export function failuresOf(failures: readonly PlanFailure[]): PlannedFailures {
  return plannedFailures({ failed: failures.length, failureCounts: failures.map(({ failure: { code, side } }) => ({ code, side, count: 1 })), failures: failures.slice(0, SAMPLE) });
}

/** Failures that another try may cure. A full disk has been tried as often as the input says, and many files that do not fit will not. */
export function passingOf({ failed, counts }: ChunkReport, isFull = false): FailedEntry[] {
  const passing = failed.filter(({ failure }) => !failureKinds[typeOf(failure)].permanent);
  const withoutSpace = passing.filter(({ failure }) => typeOf(failure) === 'NoSpace');
  return isFull || isMany(withoutSpace.length, filesIn(counts)) ? passing.filter((entry) => !withoutSpace.includes(entry)) : passing;
}

/** Whether a chunk has met a full destination; see `whyFull`. */
export async function fullOf(report: ChunkReport, settings: RunSettings, run: RunInThread): Promise<string | undefined> {
  const failures = report.failed.map(({ failure }) => failure).filter((failure) => typeOf(failure) === 'NoSpace');
  return failures.length === 0 ? undefined : run('whyFull', { settings, failures: failures.slice(0, SAMPLE), areMany: isMany(failures.length, filesIn(report.counts)) });
}

function filesIn({ backedUp, unchanged, failed }: ChunkReport['counts']): number {
  return backedUp + unchanged + failed;
}

/** What blames the destination, for threads that know no failure types. */
const destinationCodes = {
  source: codesOf('source', (type) => failureKinds[type].blamesDestination),
  destination: codesOf('destination', (type) => failureKinds[type].blamesDestination),
};
const spaceCodes = codesOf('destination', (type) => type === 'NoSpace');

/** When a chunk gives up as a whole. A disk that stays full takes what fits of it in the end, and ends the run. */
export function illnessRule(): IllnessRule {
  return { codes: destinationCodes, space: spaceCodes, isLast: isLastAttempt(), mostFailures: MOST_SINGLES };
}

function isMany(failures: number, files: number): boolean {
  return failures > Math.min(MOST_SINGLES, files / 2);
}

function typeOf({ code, side }: FailedEntry['failure']): FailureType {
  return failureTypeOf(code, side);
}

function sampled({ source, failure }: Pick<FailedEntry, 'source' | 'failure'>): FailedFile {
  return { path: boundedText(source, MAX_TEXT_BYTES), type: typeOf(failure), message: boundedText(failure.message, MAX_TEXT_BYTES) };
}

function singlesOf(passing: readonly FailedEntry[], destination: string, storage: string): PassingFile[] | null {
  if (passing.length > MOST_SINGLES || passing.some(({ isText }) => !isText)) return null;
  const singles = passing.map(({ index, source, target }) => ({ index, source, target, workflowId: fileWorkflowId(storage, `${destination}/${target}`) }));
  return Buffer.byteLength(JSON.stringify(singles)) <= MAX_SINGLES_BYTES ? singles : null;
}
