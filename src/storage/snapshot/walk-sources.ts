import { isBelow } from '../../core/roots';
import type { TransferControl } from '../control';
import { findEmptied } from './emptied';
import { idlePatterns } from './excludes';
import { maxSourcePathBytes } from './incoming-data';
import { Parents, type ParentChoice } from './parent';
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
  /** Found source by source where nothing is said. */
  readonly parent?: ParentChoice;
  /** A source that is not there fails by name, and the others are taken. */
  readonly allowMissing: boolean;
  /** A source without a file is taken for what it is, also where an earlier snapshot has files of it. */
  readonly allowEmpty: boolean;
}

/** What came of a walk. */
export interface WalkedSources extends WalkReport {
  /** The snapshot that most files are known from. */
  readonly parent: string | null;
  /** Those that files are known from. */
  readonly parents: readonly string[];
  /** None below another. */
  readonly names: readonly string[];
  readonly emptied: readonly PlanFailure[];
}

/**
 * Walks through the sources of a snapshot, beside the snapshots before.
 * @param add told of everything that was met, in order
 * @throws StorageError `SnapshotNotFound` and `SnapshotDamaged` of a parent that was named, `SourceNotFound`, `Cancelled`, what `add` throws
 */
export function walkSources(repository: string, request: SourcesRequest, add: (found: Found | NotFound, parents: Parents) => void, control: TransferControl): WalkedSources {
  const { sources, host, allowMissing, allowEmpty } = request;
  if (!allowMissing) requireSources(sources);
  const names = distinctSources(sources).map(({ path }) => path);
  const parents = Parents.find({ repository, host, sources: names, parent: request.parent });
  const report: WalkReport = { leftOut: [], sources: [], idleExcludes: idlePatterns(request.excludes.patterns) };
  try {
    for (const found of walk({ ...request, maxPathBytes: maxSourcePathBytes(repository) }, report, control)) add(found, parents);
  } finally {
    parents.close();
  }
  const empty = allowEmpty ? [] : report.sources.filter((source) => isEmpty(source.path, report));
  return { ...report, parent: parents.main, parents: parents.names, names, emptied: findEmptied(repository, host, empty.map(({ path }) => path)) };
}

/** A source that was there, and nothing in it: no disk was mounted, perhaps. */
function isEmpty(path: string, { sources }: WalkReport): boolean {
  return sources.filter((source) => isBelow(path, source.path)).every(({ identity, files, vanished, excluded }) => identity !== null && files + vanished + excluded === 0);
}
