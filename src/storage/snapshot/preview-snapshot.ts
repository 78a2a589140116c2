import type { TransferControl } from '../control';
import { pathText } from '../path-bytes';
import { isUnchanged } from './is-unchanged';
import type { Parents } from './parent';
import type { PlanFailure } from './planned-snapshot';
import type { Found, NotFound } from './found';
import { walkSources, type SourcesRequest } from './walk-sources';

export interface PreviewRequest extends SourcesRequest {
  readonly repository: string;
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
  /** Patterns that left nothing out. */
  readonly idleExcludes: readonly string[];
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

const MOST_FAILURES = 20;

/**
 * Walks through the sources as a snapshot does, and writes nothing.
 * @param onFile told of every file that would be copied
 * @throws StorageError `SourceNotFound`, `Cancelled`, errno names
 */
export function previewSnapshot(request: PreviewRequest, onFile: (file: PreviewedFile) => void, control: TransferControl): SnapshotPreview {
  const failures: PlanFailure[] = [];
  const counts = { failed: 0, newFiles: 0, changedFiles: 0, unchangedFiles: 0, directories: 0, others: 0, totalBytes: 0, copiedBytes: 0 };
  const fail = (failure: PlanFailure): void => {
    counts.failed += 1;
    if (failures.length < MOST_FAILURES) failures.push(failure);
  };
  const add = (found: Found | NotFound, parents: Parents): void => {
    if (found.stats === undefined) fail({ path: pathText(found.path), failure: found.failure });
    else if (found.stats.isDirectory()) counts.directories += 1;
    else if (!found.stats.isFile()) counts.others += 1;
    else addFile(found, parents, request.rehash, counts, onFile);
  };
  const { parent, leftOut, sources, emptied, idleExcludes } = walkSources(request.repository, request, add, control);
  emptied.forEach(fail);
  return { parent, ...counts, excluded: sources.reduce((sum, { excluded }) => sum + excluded, 0), leftOut, idleExcludes: [...idleExcludes], failures };
}

function addFile(found: Found, parents: Parents, rehash: boolean, counts: { newFiles: number; changedFiles: number; unchangedFiles: number; totalBytes: number; copiedBytes: number }, onFile: (file: PreviewedFile) => void): void {
  const known = parents.knownFile(found);
  const sizeBytes = Number(found.stats.size);
  counts.totalBytes += sizeBytes;
  if (known !== undefined && !rehash && isUnchanged(known.entry, found)) return void (counts.unchangedFiles += 1);
  counts.copiedBytes += sizeBytes;
  if (known === undefined) counts.newFiles += 1;
  else counts.changedFiles += 1;
  onFile({ path: pathText(found.path), state: known === undefined ? 'new' : 'changed', sizeBytes });
}
