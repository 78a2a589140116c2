import * as fs from 'node:fs';
import type { TransferControl } from '../control';
import { inDirectory, syncDirectory, type OpenDirectory } from '../directory';
import { blaming, isErrno } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { isDraft, withDraft, type Draft } from './draft';
import { parseLines, readLines } from './journal';
import { readChunk } from './plan';
import { refuseForeign, type RunOwner } from './open-run';
import { removeRunIn } from './remove-run';
import { runDirectory, runEntries, runPath, runsDirectory, type RunLocation } from './run-directory';
import { releaseReserve } from './reserve';
import { inRun } from './run-mark';
import { revokeRun } from './undo-chunk';
import { isPublished, tracesOf } from './undo-traces';
import type { JournalSums } from '../../core/journal-sums';
import type { ChunkOutcome } from './chunk';
import { JournalCheck } from './journal-check';
import { readTaggedRecord, taggedRecord } from './tagged-record';
import { bytewise, joinPath, toJsonPath } from '../path-bytes';
import { namesIn } from '../entries';
import { absoluteText, identifier, someText } from '../records/fields';
import { mapOf, objectOf, oneOf, optional, text, wholeNumber, type Shape } from '../records/shape';
import { removeTree } from '../remove-tree';

/** What a run came to. Counts add up to its files. */
export interface RunSummary {
  readonly files: number;
  readonly backedUp: number;
  readonly unchanged: number;
  readonly failed: number;
  /** Never got to, because the run was cancelled. */
  readonly skipped: number;
  readonly changed: number;
  readonly sizeBytes: number;
}

/** Facts of a run that go into its summary.json as they are. */
export interface RunFacts {
  readonly state?: string;
  readonly operationId?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly backupDir?: string;
  readonly layout?: string;
  readonly workflowId?: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
}

/** `summary.json`. */
interface RunRecord extends RunFacts {
  readonly formatVersion: 1;
  readonly summary: RunSummary;
}

export interface SealRequest {
  readonly location: RunLocation;
  readonly chunks: number;
  readonly facts: RunFacts;
  /** What history knows of the run's journals; undefined for a run without a history. */
  readonly known?: JournalSums;
  /** Old run records are removed, but for so many. */
  readonly keepRuns: number;
}

/**
 * Ends a run: fences it, writes manifest, failures and summary, removes the working files. Repeated, it answers the
 * summary that it wrote.
 * @throws StorageError `RunAltered` when somebody else has changed plan or journals: no record is written then
 */
export function sealRun(request: SealRequest, control: TransferControl): RunSummary {
  const { location } = request;
  return blaming('destination', runPath(location), () => {
    const summary = inRun(location, (opened) => sealIn({ ...request, location: opened }, control));
    removeOldRuns(location, request.keepRuns);
    return summary;
  });
}

function sealIn(request: SealRequest, control: TransferControl): RunSummary {
  const { location } = request;
  const run = runDirectory(location);
  revokeRun(location);
  releaseReserve(location);
  const summary = readSummary(location) ?? writeRecords(request, run, control);
  // Before anything goes that it was written from.
  syncDirectory(run);
  const working = [runEntries.revoked, runEntries.journal, runEntries.plan, ...namesIn(run).filter(isDraft)];
  for (const name of working) removeTree(run, name);
  syncDirectory(run);
  return summary;
}

/** What a run came to that has ended, as its own record says it; undefined while it has none, and of a run that was never opened. @throws StorageError `NotOwnRun`, `RunAltered` */
export function endedRun(location: RunLocation, owner: RunOwner): RunSummary | undefined {
  if (lstatIfPresent(`${runPath(location)}/${runEntries.summary}`) === undefined) return undefined;
  return inRun(location, (opened) => {
    refuseForeign(opened, owner);
    return readSummary(opened);
  });
}

/** Sealed: what was published stays, and nothing is left to undo it by. */
export function isCommitted(location: RunLocation): boolean {
  return inRun(location, (opened) => readSummary(opened) !== undefined);
}

const count = wholeNumber();

const runRecord: Shape<RunRecord> = objectOf<RunRecord>({
  formatVersion: oneOf(1),
  state: optional(text(100)),
  operationId: optional(identifier),
  metadata: optional(mapOf(someText, 1000)),
  backupDir: optional(absoluteText),
  layout: optional(text(100)),
  workflowId: optional(identifier),
  startedAt: optional(text(40)),
  endedAt: optional(text(40)),
  summary: objectOf<RunSummary>({ files: count, backedUp: count, unchanged: count, failed: count, skipped: count, changed: count, sizeBytes: count }),
});

function readSummary(location: RunLocation): RunSummary | undefined {
  return readTaggedRecord(location, runEntries.summary, runRecord)?.summary;
}

function writeRecords(request: SealRequest, run: string, control: TransferControl): RunSummary {
  return withDraft(run, runEntries.manifest, (manifest) =>
    withDraft(run, runEntries.failures, (failures) => {
      const sums = writeEntries(request, { manifest, failures }, control);
      manifest.close();
      failures.close();
      withDraft(run, runEntries.summary, (summary) => summary.write(taggedRecord(request.location, runEntries.summary, { formatVersion: 1, ...request.facts, summary: sums })));
      return sums;
    }),
  );
}

function writeEntries({ location, chunks, known }: SealRequest, { manifest, failures }: Readonly<Record<'manifest' | 'failures', Draft>>, control: TransferControl): RunSummary {
  const sums = { files: 0, backedUp: 0, unchanged: 0, failed: 0, skipped: 0, changed: 0, sizeBytes: 0 };
  const check = new JournalCheck(location, known, chunks);
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    const journal = readLines(location, chunk);
    check.pass(chunk, journal?.tag);
    if (journal === undefined) addUnjournaled(location, chunk, { manifest, failures }, sums);
    else {
      if (journal.outcome.counts.failed === 0) manifest.append(journal.lines);
      else for (const entry of parseLines(journal)) (entry.state === 'failed' ? failures : manifest).add(entry);
      addUp(sums, journal.outcome);
    }
    control.moved(1);
  }
  check.end();
  sums.files = sums.backedUp + sums.unchanged + sums.failed + sums.skipped;
  return sums;
}

type Sums = { -readonly [Key in keyof RunSummary]: RunSummary[Key] };

function addUp(sums: Sums, outcome: ChunkOutcome): void {
  sums.backedUp += outcome.counts.backedUp;
  sums.unchanged += outcome.counts.unchanged;
  sums.failed += outcome.counts.failed;
  sums.changed += outcome.changed;
  sums.sizeBytes += outcome.sizeBytes;
}

/** A chunk that no attempt got to the end of: what an attempt has published is there all the same, and is told by its staged link. */
function addUnjournaled(location: RunLocation, chunk: number, { manifest, failures }: Readonly<Record<'manifest' | 'failures', Draft>>, sums: Sums): void {
  const published = publishedTargets(location, chunk);
  for (const { source, target } of readChunk(location, chunk).entries) {
    const [names, stats] = [{ source: toJsonPath(source), target: toJsonPath(target) }, published.get(bytewise(target))];
    if (stats === undefined) {
      failures.add({ ...names, state: 'skipped', sizeBytes: 0, reason: 'the run ended before it' });
      sums.skipped += 1;
    } else {
      manifest.add({ ...names, state: 'backedUp', sizeBytes: Number(stats.size), targetInode: String(stats.ino), targetMtimeNs: String(stats.mtimeNs) });
      sums.backedUp += 1;
      sums.sizeBytes += Number(stats.size);
    }
  }
}

/** Targets of a chunk that are links of what attempts have staged. */
function publishedTargets(location: RunLocation, chunk: number): Map<string, fs.BigIntStats> {
  const published = new Map<string, fs.BigIntStats>();
  for (const { target, ours } of tracesOf(location, chunk)) {
    const stats = lstatIfPresent(joinPath(location.destination, target));
    if (stats !== undefined && ours.some((each) => isPublished(stats, each))) published.set(bytewise(target), stats);
  }
  return published;
}

function removeOldRuns({ root, destination }: RunLocation, keep: number): void {
  inDirectory(root, runsDirectory({ destination }), 'destination', (runs) => {
    const sealed = fs.readdirSync(runs.handle).flatMap((name) => {
      const stats = fs.lstatSync(runs.entry(`${name}/${runEntries.summary}`), { throwIfNoEntry: false });
      return stats === undefined ? [] : [{ name, mtimeMs: stats.mtimeMs }];
    });
    for (const { name: runId } of sealed.sort((a, b) => b.mtimeMs - a.mtimeMs).slice(keep)) removeOldRun(runs, { root, destination, runId });
  });
}

/** What somebody else has put there, and what another seal removes at the same time, is no concern of this run. */
function removeOldRun(runs: OpenDirectory, location: RunLocation): void {
  try {
    removeRunIn(runs, location.runId, { location });
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'DestinationNotTrusted', 'TargetNotCanonical')) throw error;
  }
}
