import { fromJsonPath, toJsonPath, type JsonPath } from '../path-bytes';
import type { PlannedFile } from './chunk';
import { readChunkLines } from './read-chunk-lines';
import { alteredRun } from './run-proof';
import { parseOwn } from '../records/own-file';
import { absoluteBelowRoot, inode, nanoseconds, relative, sha256 } from '../records/fields';
import { objectOf, optional, wholeNumber } from '../records/shape';
import type { RunLocation } from './run-directory';

/** What an earlier run knows of a file: enough to tell that neither it nor its backup changed since. */
export interface KnownState {
  readonly sizeBytes: number;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
  readonly inode: string;
  readonly sha256: string;
  readonly targetInode: string;
  readonly targetMtimeNs: string;
}

/** One file of a run. */
export interface PlanEntry extends PlannedFile {
  /** Size when it was planned; 0 when it could not be looked at. */
  readonly sizeBytes: number;
  /** Present when source and target look as the last run left them. */
  readonly known: KnownState | undefined;
}

interface PlanLine {
  readonly s: JsonPath;
  /** Left out where it is the source's path without its first slash. */
  readonly t?: JsonPath;
  readonly z: number;
  readonly k?: KnownState;
}

/** The line of a plan that says it; `readChunk` reads it. */
export function planLine(entry: PlanEntry): string {
  const target = isFullPath(entry) ? undefined : toJsonPath(entry.target);
  const line: PlanLine = { s: toJsonPath(entry.source), t: target, z: entry.sizeBytes, k: entry.known };
  return JSON.stringify(line);
}

export interface PlannedChunk {
  readonly sizeBytes: number;
  readonly entries: readonly PlanEntry[];
}

export const knownState = objectOf<KnownState>({ sizeBytes: wholeNumber(), mtimeNs: nanoseconds, ctimeNs: nanoseconds, inode, sha256, targetInode: inode, targetMtimeNs: nanoseconds });

const planLineShape = objectOf<PlanLine>({ s: absoluteBelowRoot, t: optional(relative), z: wholeNumber(), k: optional(knownState) });

/** Reads one chunk by its number, without touching the rest. @throws StorageError `RunAltered`, errno names */
export function readChunk(location: RunLocation, chunk: number): PlannedChunk {
  const { sizeBytes, lines, path } = readChunkLines(location, chunk);
  return { sizeBytes, entries: lines.map((line) => parseLine(line, path)) };
}

function parseLine(json: string, path: string): PlanEntry {
  const { s, t, z, k } = parseOwn(json, planLineShape, (why) => alteredRun(path, `${why} in a line`));
  const source = fromJsonPath(s);
  return { source, target: t === undefined ? source.slice(1) : fromJsonPath(t), sizeBytes: z, known: k };
}

/** Of paths that are text; the rare others are always written out. */
function isFullPath({ source, target }: PlanEntry): boolean {
  return typeof source === 'string' && typeof target === 'string' && source.length === target.length + 1 && source.endsWith(target);
}
