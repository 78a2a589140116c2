import * as fs from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../../core/parse-json';
import { splitLines } from '../batch/lines';
import { readChunkLines } from '../batch/chunked-lines';
import { runDirectory, runEntries, type RunLocation } from '../batch/run-directory';
import { fromJsonPath, toJsonPath, type JsonPath, type PathBytes } from '../path-bytes';
import type { FailedEntry, FileEntry, PresentEntry } from './entry';

/** A file of a snapshot's plan. */
export interface PlannedFile {
  readonly path: PathBytes;
  /** What the parent snapshot says of it. */
  readonly known: FileEntry | undefined;
  /** It is unchanged since: its copy in the parent need only be linked. */
  readonly isUnchanged: boolean;
}

interface FileLine {
  readonly p: JsonPath;
  readonly k?: FileEntry;
  readonly u?: true;
}

export function fileLine({ path, known, isUnchanged }: PlannedFile): string {
  const line: FileLine = { p: toJsonPath(path), ...(known === undefined ? {} : { k: known }), ...(isUnchanged ? { u: true } : {}) };
  return JSON.stringify(line);
}

/** The files of one chunk. */
export function readPlannedFiles(location: RunLocation, chunk: number): PlannedFile[] {
  return readChunkLines(location, chunk).lines.map((line) => {
    const { p, k, u } = parseJson(line) as FileLine;
    return { path: fromJsonPath(p), known: k, isUnchanged: u === true };
  });
}

/** What has no bytes of its own: entries that are no files, and further names of files that have several, with the number of the file. */
export type TreeEntry = { readonly entry: Exclude<PresentEntry, FileEntry> | FailedEntry } | { readonly name: JsonPath; readonly first: JsonPath; readonly firstFile: number };

/** A line of `tree.ndjson`, in the order of the walk, with the number of files before it. */
export type TreeLine = TreeEntry & { readonly at: number };

/** Name of that list beside the plan of the files. */
export const TREE = 'tree.ndjson';

export function* readTree(location: RunLocation): Generator<TreeLine> {
  const descriptor = fs.openSync(join(runDirectory(location), runEntries.plan, TREE), 'r');
  try {
    for (const { line } of splitLines(descriptor)) yield parseJson(line) as TreeLine;
  } finally {
    fs.closeSync(descriptor);
  }
}
