import { readAllLines, readChunkLines } from '../batch/read-chunk-lines';
import { alteredRun } from '../batch/run-proof';
import type { RunLocation } from '../batch/run-directory';
import { fromJsonPath, toJsonPath, type JsonPath, type PathBytes } from '../path-bytes';
import { absoluteBelowRoot } from '../records/fields';
import { parseOwn } from '../records/own-file';
import { objectOf, oneOf, optional, wholeNumber, type Shape } from '../records/shape';
import type { FailedEntry, FileEntry, PresentEntry } from './entry';
import { orderKey } from './entry-order';
import type { KnownFile } from './parent';
import { fileEntry, otherEntry } from './entry-shape';
import { SoundOrder } from './sound-order';
import { identity } from './walked';

/** A file of a snapshot's plan. */
export interface PlannedFile {
  readonly path: PathBytes;
  /** What a snapshot before says of it. */
  readonly known: KnownFile | undefined;
  /** It is unchanged since: its copy there need only be linked. */
  readonly isUnchanged: boolean;
  /** Identity of the directory that the walk met it in; undefined for what is a source itself. */
  readonly directory: string | undefined;
}

interface FileLine {
  readonly p: JsonPath;
  readonly d?: string;
  readonly k?: FileEntry;
  /** Of which of the plan's parents; the first one when left out. */
  readonly f?: number;
  readonly u?: true;
}

export function fileLine({ path, known, isUnchanged, directory }: PlannedFile): string {
  const line: FileLine = { p: toJsonPath(path), d: directory, ...(known === undefined ? {} : { k: known.entry }), ...(known === undefined || known.from === 0 ? {} : { f: known.from }), ...(isUnchanged ? { u: true } : {}) };
  return JSON.stringify(line);
}

const fileLineShape = objectOf<FileLine>({ p: absoluteBelowRoot, d: optional(identity), k: optional(fileEntry), f: optional(wholeNumber()), u: optional(oneOf(true)) });

/** The files of one chunk. @throws StorageError `RunAltered`, errno names */
export function readPlannedFiles(location: RunLocation, chunk: number): PlannedFile[] {
  const { lines, path } = readChunkLines(location, chunk);
  return lines.map((line) => {
    const { p, d, k, f = 0, u } = parseOwn(line, fileLineShape, (why) => alteredRun(path, `${why} in a line`));
    return { path: fromJsonPath(p), known: k && { entry: k, from: f }, isUnchanged: u === true, directory: d };
  });
}

interface OtherEntry {
  readonly entry: Exclude<PresentEntry, FileEntry> | FailedEntry;
}

/** A further name of a file that has several, with identities of the file and of the directory that the walk met it in; plans of earlier versions have none. */
export interface FurtherName {
  readonly name: JsonPath;
  readonly id?: string;
  readonly d?: string;
  readonly first: JsonPath;
  readonly firstFile: number;
}

/** What has no bytes of its own: entries that are no files, and further names of files that have several, with the number of the file. */
export type TreeEntry = OtherEntry | FurtherName;

/** A line of the plan's tree, in the order of the walk, with the number of files before it. */
export type TreeLine = TreeEntry & { readonly at: number };

const at = wholeNumber();
const otherLine: Shape<TreeLine> = objectOf<OtherEntry & { readonly at: number }>({ at, entry: otherEntry });
const furtherLine: Shape<TreeLine> = objectOf<FurtherName & { readonly at: number }>({ at, name: absoluteBelowRoot, id: optional(identity), d: optional(identity), first: absoluteBelowRoot, firstFile: wholeNumber() });

const treeLine: Shape<TreeLine> = (value) => (typeof value === 'object' && value !== null && 'entry' in value ? otherLine : furtherLine)(value);

/**
 * What the walk met beside files, in its order.
 * @throws StorageError `RunAltered` also for entries out of order or below what is no directory: what is made of the tree
 *   goes by paths
 */
export function* readTree(location: RunLocation): Generator<TreeLine, undefined> {
  const order = new SoundOrder();
  let files = 0;
  for (const { lines, path } of readAllLines(location, 'tree')) {
    for (const json of lines) {
      const line = parseOwn(json, treeLine, (why) => alteredRun(path, `${why} in a line`));
      const isDirectory = 'entry' in line && (line.entry.type === 'directory' || line.entry.state === 'failed');
      const key = orderKey(fromJsonPath('entry' in line ? line.entry.path : line.name));
      if (line.at < files || !order.accepts(key, isDirectory)) throw alteredRun(path, 'has entries out of order');
      files = line.at;
      yield line;
    }
  }
}
