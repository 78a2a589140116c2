import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { TransferControl } from '../control';
import { syncDirectory } from '../directory';
import { blaming, isErrno } from '../errors';
import { parseLines, readLines } from './journal';
import { readChunk } from './plan';
import { runDirectory, runEntries, runsDirectory, type RunLocation } from './run-directory';
import { revokeRun } from './undo-chunk';
import type { ChunkOutcome, JournalEntry } from './chunk';
import { toJsonPath } from '../path-bytes';

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

export interface SealRequest {
  readonly location: RunLocation;
  readonly chunks: number;
  /** Facts of the run that go into summary.json as they are. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Old run records are removed, but for so many. */
  readonly keepRuns: number;
}

/**
 * Ends a run: fences it, writes manifest, failures and summary, removes the working files. Repeated, it answers the
 * summary that it wrote.
 */
export function sealRun(request: SealRequest, control: TransferControl): RunSummary {
  const { location } = request;
  const run = runDirectory(location);
  return blaming('destination', run, () => {
    revokeRun(location);
    fs.rmSync(join(run, runEntries.reserve), { force: true });
    const summary = readSummary(run) ?? writeRecords(request, run, control);
    for (const name of [runEntries.revoked, runEntries.journal, runEntries.plan, runEntries.index]) fs.rmSync(join(run, name), { recursive: true, force: true });
    syncDirectory(run);
    removeOldRuns(location, request.keepRuns);
    return summary;
  });
}

/** Sealed: what was published stays, and nothing is left to undo it by. */
export function isCommitted(location: RunLocation): boolean {
  return readSummary(runDirectory(location)) !== undefined;
}

function readSummary(run: string): RunSummary | undefined {
  try {
    return (JSON.parse(fs.readFileSync(join(run, runEntries.summary), 'utf8')) as { summary: RunSummary }).summary;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function writeRecords({ location, chunks, facts }: SealRequest, run: string, control: TransferControl): RunSummary {
  const manifest = new Draft(run, runEntries.manifest);
  const failures = new Draft(run, runEntries.failures);
  const sums = { files: 0, backedUp: 0, unchanged: 0, failed: 0, skipped: 0, changed: 0, sizeBytes: 0 };
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    const journal = readLines(location, chunk);
    if (journal === undefined) {
      for (const entry of skippedEntries(run, chunk)) {
        failures.add(entry);
        sums.skipped += 1;
      }
    } else {
      if (journal.outcome.counts.failed === 0) manifest.append(journal.lines);
      else for (const entry of parseLines(journal.lines)) (entry.state === 'failed' ? failures : manifest).add(entry);
      addUp(sums, journal.outcome);
    }
    control.moved(1);
  }
  sums.files = sums.backedUp + sums.unchanged + sums.failed + sums.skipped;
  manifest.close();
  failures.close();
  new Draft(run, runEntries.summary).write({ formatVersion: 1, ...facts, summary: sums });
  return sums;
}

function addUp(sums: { -readonly [Key in keyof RunSummary]: RunSummary[Key] }, outcome: ChunkOutcome): void {
  sums.backedUp += outcome.counts.backedUp;
  sums.unchanged += outcome.counts.unchanged;
  sums.failed += outcome.counts.failed;
  sums.changed += outcome.changed;
  sums.sizeBytes += outcome.sizeBytes;
}

function skippedEntries(run: string, chunk: number): (Omit<JournalEntry, 'state'> & { state: 'skipped'; reason: string })[] {
  const { entries } = readChunk(join(run, runEntries.plan), join(run, runEntries.index), chunk);
  return entries.map(({ source, target }) => ({ source: toJsonPath(source), target: toJsonPath(target), state: 'skipped', sizeBytes: 0, reason: 'the run ended before it' }));
}

/** A file that is written aside and gets its name when it is complete and synced. */
class Draft {
  private readonly path: string;
  private readonly descriptor: number;
  private lines: string[] = [];

  constructor(
    private readonly run: string,
    private readonly name: string,
  ) {
    this.path = join(run, `.${randomUUID()}`);
    this.descriptor = fs.openSync(this.path, 'wx', 0o600);
  }

  add(value: unknown): void {
    this.lines.push(JSON.stringify(value));
    if (this.lines.length >= 5000) this.flush();
  }

  /** Takes lines over as they are: a journal without failures is a part of the manifest. */
  append(lines: Buffer): void {
    this.flush();
    this.writeAll(lines);
  }

  write(value: unknown): void {
    this.add(value);
    this.close();
  }

  close(): void {
    this.flush();
    fs.fsyncSync(this.descriptor);
    fs.closeSync(this.descriptor);
    fs.renameSync(this.path, join(this.run, this.name));
  }

  private flush(): void {
    if (this.lines.length === 0) return;
    this.writeAll(Buffer.from(`${this.lines.join('\n')}\n`));
    this.lines = [];
  }

  private writeAll(data: Buffer): void {
    for (let written = 0; written < data.length; ) written += fs.writeSync(this.descriptor, data, written);
  }
}

function removeOldRuns({ destination }: RunLocation, keep: number): void {
  const directory = runsDirectory(destination);
  const sealed = fs.readdirSync(directory).flatMap((name) => {
    const stats = fs.lstatSync(join(directory, name, runEntries.summary), { throwIfNoEntry: false });
    return stats === undefined ? [] : [{ name, mtimeMs: stats.mtimeMs }];
  });
  for (const { name } of sealed.sort((a, b) => b.mtimeMs - a.mtimeMs).slice(keep)) fs.rmSync(join(directory, name), { recursive: true, force: true });
}
