import type { TransferControl } from '../control';
import { pathText } from '../path-bytes';
import { orderKey } from './entry-order';
import { maxSourcePathBytes } from './incoming-data';
import { isUnchanged, Parent } from './parent';
import type { PlanFailure } from './planned-snapshot';
import { distinctSources, isVanished, walk, type Found, type LeftOut, type NotFound, type WalkRequest } from './walk';

export interface PreviewRequest extends Omit<WalkRequest, 'maxPathBytes'> {
  readonly repository: string;
  readonly host: string;
  readonly rehash: boolean;
}

/** What a snapshot would come to. */
export interface SnapshotPreview {
  readonly parent: string | null;
  readonly newFiles: number;
  readonly changedFiles: number;
  readonly unchangedFiles: number;
  readonly directories: number;
  /** Links and special files. */
  readonly others: number;
  readonly excluded: number;
  readonly totalBytes: number;
  /** Of new and changed files. */
  readonly copiedBytes: number;
  readonly leftOut: readonly string[];
  readonly failed: number;
  /** The first few. */
  readonly failures: readonly PlanFailure[];
}

/** A file that would be copied. */
export interface PreviewedFile {
  readonly path: string;
  readonly state: 'new' | 'changed';
  readonly sizeBytes: number;
}

/** Walks through the sources as a snapshot does, and writes nothing. @param onFile told of every file that would be copied */
export function previewSnapshot(request: PreviewRequest, onFile: (file: PreviewedFile) => void, control: TransferControl): SnapshotPreview {
  const sources = distinctSources(request.sources);
  const paths = sources.map(({ path }) => path);
  const parent = Parent.find(request.repository, { host: request.host, sources: paths });
  const leftOut: LeftOut = { paths: [], excluded: 0 };
  const failures: PlanFailure[] = [];
  const counts = { failed: 0, newFiles: 0, changedFiles: 0, unchangedFiles: 0, directories: 0, others: 0, totalBytes: 0, copiedBytes: 0 };
  try {
    for (const found of walk({ ...request, sources, maxPathBytes: maxSourcePathBytes(request.repository) }, leftOut, control)) {
      if (found.stats === undefined) addFailure(found, paths, counts, failures);
      else if (found.stats.isDirectory()) counts.directories += 1;
      else if (!found.stats.isFile()) counts.others += 1;
      else addFile(found, parent, request.rehash, counts, onFile);
    }
  } finally {
    parent?.close();
  }
  return { parent: parent?.name ?? null, ...counts, excluded: leftOut.excluded, leftOut: leftOut.paths, failures };
}

const MOST_FAILURES = 20;

function addFailure(found: NotFound, sources: readonly string[], counts: { failed: number }, failures: PlanFailure[]): void {
  if (isVanished(found, sources)) return;
  counts.failed += 1;
  if (failures.length < MOST_FAILURES) failures.push({ path: pathText(found.path), failure: found.failure });
}

function addFile(found: Found, parent: Parent | undefined, rehash: boolean, counts: { newFiles: number; changedFiles: number; unchangedFiles: number; totalBytes: number; copiedBytes: number }, onFile: (file: PreviewedFile) => void): void {
  const known = parent?.knownFile(orderKey(found.path));
  const sizeBytes = Number(found.stats.size);
  counts.totalBytes += sizeBytes;
  if (known !== undefined && !rehash && isUnchanged(known, found)) return void (counts.unchangedFiles += 1);
  counts.copiedBytes += sizeBytes;
  if (known === undefined) counts.newFiles += 1;
  else counts.changedFiles += 1;
  onFile({ path: pathText(found.path), state: known === undefined ? 'new' : 'changed', sizeBytes });
}
