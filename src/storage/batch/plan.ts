import { parseJson } from '../../core/parse-json';
import { fromJsonPath, toJsonPath, type JsonPath } from '../path-bytes';
import type { PlannedFile } from './chunk';
import { readChunkLines } from './chunked-lines';
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

/** Reads one chunk by its number, without touching the rest. */
export function readChunk(location: RunLocation, chunk: number): PlannedChunk {
  const { sizeBytes, lines } = readChunkLines(location, chunk);
  return { sizeBytes, entries: lines.map(parseLine) };
}

function parseLine(line: string): PlanEntry {
  const { s, t, z, k } = parseJson(line) as PlanLine;
  const source = fromJsonPath(s);
  return { source, target: t === undefined ? source.slice(1) : fromJsonPath(t), sizeBytes: z, known: k };
}

/** Of paths that are text; the rare others are always written out. */
function isFullPath({ source, target }: PlanEntry): boolean {
  return typeof source === 'string' && typeof target === 'string' && source.length === target.length + 1 && source.endsWith(target);
}
