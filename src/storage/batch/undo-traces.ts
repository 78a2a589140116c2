import type * as fs from 'node:fs';
import { join } from 'node:path';
import { lstatIfPresent } from '../file-stat';
import { fromJsonPath, type PathBytes } from '../path-bytes';
import { namesIn } from '../staging';
import type { JournalEntry } from './chunk';
import { journalPath, parseLines, readLines } from './journal';
import { keptDirectory, oursName, parseKeptName } from './kept-files';
import { readChunk } from './plan';
import { runDirectory, runEntries, type RunLocation } from './run-directory';
import { alteredRun } from './run-proof';

/** What tells a target that this run published from anybody else's. */
export interface Published {
  readonly inode: string;
  readonly mtimeNs: string | undefined;
}

export function isPublished(stats: fs.BigIntStats, { inode, mtimeNs }: Published): boolean {
  return String(stats.ino) === inode && (mtimeNs === undefined || String(stats.mtimeNs) === mtimeNs);
}

/** Everything that the attempts at one file left. */
export interface Trace {
  readonly target: PathBytes;
  /** The journal says that the run published it: if it is something else by now, then somebody else's. */
  isJournaled: boolean;
  /** Files that an attempt published, or was about to. */
  readonly ours: Published[];
  /** Names of what lay there before an attempt, below the revoked staging directory. */
  readonly kept: string[];
}

/**
 * The traces of a chunk: what its journal says, and what is left of attempts. Attempts may have published and died before
 * the journal was written, the first time or in a later pass, and the next one took their files for previous targets.
 */
export function tracesOf(location: RunLocation, chunk: number, journalTag?: string | null): Trace[] {
  const revoked = join(runDirectory(location), runEntries.revoked);
  const journal = readLines(location, chunk);
  if (journalTag !== undefined && journalTag !== (journal?.tag ?? null)) throw alteredRun(journalPath(location, chunk), 'was exchanged');
  const entries = journal === undefined ? [] : parseLines(journal);
  const traces = tracesFor(entries.length > 0 ? entries.map(({ target }) => fromJsonPath(target)) : plannedTargets(location, chunk));
  entries.forEach((entry, index) => addJournaled(traces[index], entry));
  for (const attempt of namesIn(revoked).filter((name) => name.startsWith(`${chunk}-`))) {
    for (const name of namesIn(join(revoked, attempt))) addStaged(traces[Number(name)], lstatIfPresent(join(revoked, attempt, name)));
  }
  for (const name of namesIn(join(revoked, keptDirectory(chunk)))) addKept(traces, revoked, join(keptDirectory(chunk), name));
  return traces.filter(({ ours, kept }) => ours.length > 0 || kept.length > 0);
}

function plannedTargets(location: RunLocation, chunk: number): PathBytes[] {
  return readChunk(location, chunk).entries.map(({ target }) => target);
}

function tracesFor(targets: readonly PathBytes[]): Trace[] {
  return targets.map((target) => ({ target, isJournaled: false, ours: [], kept: [] }));
}

function addJournaled(trace: Trace | undefined, { state, targetInode, targetMtimeNs, kept }: JournalEntry): void {
  if (trace === undefined || state !== 'backedUp' || targetInode === undefined) return;
  trace.isJournaled = true;
  trace.ours.push({ inode: targetInode, mtimeNs: targetMtimeNs });
  if (kept !== undefined) trace.kept.push(kept);
}

function addStaged(trace: Trace | undefined, stats: fs.BigIntStats | undefined): void {
  if (stats !== undefined) trace?.ours.push({ inode: String(stats.ino), mtimeNs: String(stats.mtimeNs) });
}

/** `name` is `{attempt}-{index in the chunk}`, with a suffix for the second link of what replaced it. */
function addKept(traces: readonly Trace[], revoked: string, name: string): void {
  const { kept, index } = parseKeptName(name);
  const trace = traces[index];
  if (trace === undefined) return;
  if (name === oursName(kept)) addStaged(trace, lstatIfPresent(join(revoked, name)));
  else if (!trace.kept.includes(name)) trace.kept.push(name);
}
