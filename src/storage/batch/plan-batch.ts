import * as fs from 'node:fs';
import type { TransferControl } from '../control';
import { isErrno, StorageError } from '../errors';
import { appendToPath, pathText, splitPath, type PathBytes } from '../path-bytes';
import { ChunkedLinesWriter } from './chunked-lines';
import { OpenList, withList, type ListFile } from './list-reader';
import { LastRun } from './last-run';
import { planLine } from './plan';
import { objectOf, optional, wholeNumber } from '../records/shape';
import type { ProvedPlan } from './plan-digests';
import { planOnce, type WrittenPlan } from './plan-once';
import type { RunLocation } from './run-directory';
import { SeenPaths } from './seen-paths';
import { copiedBytes, needed, type Needed } from './room';
import type { RunOwner } from './open-run';
import { TargetDirectories } from './target-directories';

export type Layout = 'flat' | 'tree';

/** Where the list of sources comes from: short ones are in the request, long ones in a file. */
export type SourceList = { readonly sources: readonly string[] } | ListFile;

/** A list while it is read. */
type Sources = readonly string[] | OpenList;

export interface PlanRequest {
  readonly location: RunLocation;
  readonly owner: RunOwner;
  readonly list: SourceList;
  readonly layout: Layout;
  /** Read every file, whatever the last run knows of it. */
  readonly rehash: boolean;
}

export interface Planned {
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
  /** Entries that were in the list more than once, and are planned once. */
  readonly duplicates: number;
  /** By what is not as the last run left it; plans of earlier programs do not say. */
  readonly needed?: Needed;
}

const count = wholeNumber();
const plannedBatch = objectOf<Planned>({ files: count, sizeBytes: count, chunks: count, duplicates: count, needed: optional(needed) });

/**
 * Turns a list of sources into a plan on the destination: looks at each source once, names its target, cuts the list
 * into chunks. Nothing else is written. The plan gets its name when it is complete, and the first one counts: repeated,
 * or late, this answers what is there.
 * @throws StorageError `TargetCollision` naming two sources that would meet in one target, `TargetInsideRepository`, `InvalidInput`, errno names
 */
export function planBatch(request: PlanRequest, control: TransferControl): ProvedPlan<Planned> {
  const { list } = request;
  const write = (sources: Sources): ProvedPlan<Planned> => planOnce(request.location, plannedBatch, (draft) => writePlan(request, sources, draft, control));
  return 'sources' in list ? write(list.sources) : withList(list, write);
}

function writePlan(request: PlanRequest, sources: Sources, draft: string, control: TransferControl): WrittenPlan<Planned> {
  const writer = new ChunkedLinesWriter(draft);
  const lastRun = request.rehash ? undefined : LastRun.open(request.location);
  const seen = new SeenTargets(sources);
  const directories = request.layout === 'tree' ? new TargetDirectories(request.location.destination) : undefined;
  let [files, sizeBytes] = [0, 0];
  const ofCopies = { bytes: 0, files: 0 };
  try {
    for (const [position, source] of sourcesOf(sources)) {
      control.throwIfCancelled();
      const target = targetOf(source, request.layout);
      if (seen.isDuplicate(source, target, position, request.layout)) continue;
      directories?.refuseRepositories(target);
      const { sizeBytes: size, copyBytes } = sizeOf(source);
      const known = lastRun?.find(target);
      writer.add(planLine({ source, target, sizeBytes: size, known }), size);
      if (known?.sizeBytes !== size) {
        ofCopies.bytes += copyBytes;
        ofCopies.files += 1;
      }
      files += 1;
      sizeBytes += size;
      control.finishFile();
    }
    const { chunks, sha256 } = writer.close();
    return { planned: { files, sizeBytes, chunks, duplicates: seen.duplicates, needed: ofCopies }, parts: { plan: sha256 } };
  } finally {
    writer.abandon();
    lastRun?.close();
  }
}

/** Each source with its position: its number in a short list, its offset in a file. */
function* sourcesOf(sources: Sources): Generator<[number, PathBytes]> {
  if (sources instanceof OpenList) for (const { offset, path } of sources.entries()) yield [offset, path];
  else yield* sources.entries();
}

function sourceAt(sources: Sources, position: number): PathBytes {
  return sources.at(position) ?? '';
}

/** `flat` is `{name}.backup`, as in the tutorial; `tree` keeps the full path. */
function targetOf(source: PathBytes, layout: Layout): PathBytes {
  if (layout === 'flat') return appendToPath(splitPath(source).name, '.backup');
  return typeof source === 'string' ? source.slice(1) : source.subarray(1);
}

/** For cutting chunks only: what is wrong with a source is found when it is copied. */
function sizeOf(source: PathBytes): { readonly sizeBytes: number; readonly copyBytes: number } {
  const nothing = { sizeBytes: 0, copyBytes: 0 };
  try {
    const stats = fs.lstatSync(source, { throwIfNoEntry: false });
    return stats?.isFile() === true ? { sizeBytes: stats.size, copyBytes: copiedBytes(stats) } : nothing;
  } catch (error) {
    if (isErrno(error, 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG', 'EIO', 'ESTALE')) return nothing;
    throw error;
  }
}

/** Finds two sources that would meet in one target, with hashes first and with the list itself where they agree. */
class SeenTargets {
  duplicates = 0;
  private readonly positions = new SeenPaths();

  constructor(private readonly sources: Sources) {}

  /** @throws StorageError `TargetCollision` */
  isDuplicate(source: PathBytes, target: PathBytes, position: number, layout: Layout): boolean {
    const earlier = this.positions.add(target, position);
    if (earlier === undefined) return false;
    const other = sourceAt(this.sources, earlier);
    if (Buffer.from(other).equals(Buffer.from(source))) {
      this.duplicates += 1;
      return true;
    }
    if (!Buffer.from(targetOf(other, layout)).equals(Buffer.from(target))) return false;
    throw new StorageError('TargetCollision', 'source', pathText(source), `${pathText(other)} and ${pathText(source)} would both become ${pathText(target)}`);
  }
}
