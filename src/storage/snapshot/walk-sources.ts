import { isBelow } from '../../core/roots';
import type { TransferControl } from '../control';
import { findEmptied } from './emptied';
import { idlePatterns } from './excludes';
import { maxSourcePathBytes } from './incoming-data';
import { Parent } from './parent';
import type { PlanFailure } from './planned-snapshot';
import { distinctSources, requireSources } from './sources';
import type { Found, NotFound } from './found';
import { walk } from './walk';
import type { WalkReport, WalkRequest } from './walk-request';

/** What a snapshot is to be of, as a run and a preview ask alike. */
export interface SourcesRequest extends Omit<WalkRequest, 'maxPathBytes'> {
  readonly host: string;
  /** Read every file, whatever the parent knows of it. */
  readonly rehash: boolean;
  /** A source that is not there fails by name, and the others are taken. */
  readonly allowMissing: boolean;
  /** A source without a file is taken for what it is, also where an earlier snapshot has files of it. */
  readonly allowEmpty: boolean;
}

/** What came of a walk. */
export interface WalkedSources extends WalkReport {
  readonly parent: string | null;
  /** None below another. */
  readonly names: readonly string[];
  readonly emptied: readonly PlanFailure[];
}

/**
 * Walks through the sources of a snapshot, beside the snapshot before.
 * @param add told of everything that was met, in order
 * @throws StorageError `SourceNotFound`, `Cancelled`, what `add` throws
 */
export function walkSources(repository: string, request: SourcesRequest, add: (found: Found | NotFound, parent: Parent | undefined) => void, control: TransferControl): WalkedSources {
  const { sources, host, allowMissing, allowEmpty } = request;
  if (!allowMissing) requireSources(sources);
  const names = distinctSources(sources).map(({ path }) => path);
  const parent = Parent.find(repository, { host, sources: names });
  const report: WalkReport = { leftOut: [], sources: [], idleExcludes: idlePatterns(request.excludes.patterns) };
  try {
    for (const found of walk({ ...request, maxPathBytes: maxSourcePathBytes(repository) }, report, control)) add(found, parent);
  } finally {
    parent?.close();
  }
  const empty = allowEmpty ? [] : report.sources.filter((source) => isEmpty(source.path, report));
  return { ...report, parent: parent?.name ?? null, names, emptied: findEmptied(repository, host, empty.map(({ path }) => path)) };
}

/** A source that was there, and nothing in it: no disk was mounted, perhaps. */
function isEmpty(path: string, { sources }: WalkReport): boolean {
  return sources.filter((source) => isBelow(path, source.path)).every(({ identity, files, vanished, excluded }) => identity !== null && files + vanished + excluded === 0);
}
