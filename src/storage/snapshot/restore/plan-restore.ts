import * as fs from 'node:fs';
import { ChunkedLinesWriter } from '../../batch/chunked-lines';
import type { Need } from '../../batch/room';
import type { ProvedPlan } from '../../batch/plan-digests';
import { planOnce, type WrittenPlan } from '../../batch/plan-once';
import type { TransferControl } from '../../control';
import { runHolder } from '../../batch/run-directory';
import { StorageError } from '../../errors';
import { absoluteText } from '../../records/fields';
import { arrayOf, nullable, objectOf, optional, text, wholeNumber, type Shape } from '../../records/shape';
import { openWanted } from './open-source';
import { areRightsLeftOut, type Attributes } from './attributes';
import { restoredAttributes } from './attributes-shape';
import { outsideRepositories } from './outside-repositories';
import type { RestoreRequest } from './request';
import { itemLine, type DirectoryItem, type TreeItem } from './restore-item';
import { restoreItems } from './restore-items';
import { RestoreNeeds } from './restore-needs';
import { isMine } from './writable';
import { MOST_PLACES, StagingPlaces } from './staging-places';
import { TargetFinder } from './target-finder';

/** A planned restore in numbers. */
export interface PlannedRestore {
  /** The whole name of the snapshot that was meant. */
  readonly snapshot: string;
  /** Files in chunks, and what they hold. */
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
  /** What is made after them. */
  readonly directories: number;
  readonly symlinks: number;
  readonly fifos: number;
  /** Further names of files. */
  readonly hardLinks: number;
  /** Entries that cannot be restored; the end of the run says why. */
  readonly skipped: number;
  /** Of the destination itself, where the file system's root directory was a source. */
  readonly rootAttributes: Attributes | null;
  /** Entries whose recorded owner, or set-user-id, set-group-id and sticky bits, are left out. */
  readonly rightsLeftOut: number;
  /** Directories on other file systems than the run's own one, in which it has to stage as well. */
  readonly places?: readonly string[];
  /** On each file system that it writes to. */
  readonly needs?: readonly Need[];
}

const count = wholeNumber();

export const plannedRestore = objectOf<PlannedRestore>({
  snapshot: text(40, /^[\w-]+$/),
  files: count,
  sizeBytes: count,
  chunks: count,
  directories: count,
  symlinks: count,
  fifos: count,
  hardLinks: count,
  skipped: count,
  rootAttributes: nullable(restoredAttributes),
  // Plans of earlier programs do not say it.
  rightsLeftOut: optional(count) as Shape<number>,
  places: optional(arrayOf(absoluteText, MOST_PLACES)),
  needs: optional(arrayOf(objectOf<Need>({ directory: absoluteText, bytes: count, files: count }), MOST_PLACES + 1)),
});

/**
 * Plans a restore: files in chunks, and beside them everything else in the snapshot's order. Nothing else is written. The
 * first plan counts: repeated, or late, this answers what is there.
 * @throws StorageError `SnapshotNotFound`, `SnapshotDamaged`, `RepositoryNotFound`, `RepositoryNotTrusted`,
 *   `InvalidInput` for a path that is not in the snapshot, errno names
 */
export function planRestore(request: RestoreRequest, control: TransferControl): ProvedPlan<PlannedRestore> {
  return planOnce(request.location, plannedRestore, (draft) => new Planning(request, draft).plan(control));
}

type Counts = { -readonly [Key in keyof Omit<PlannedRestore, 'places' | 'needs'>]: PlannedRestore[Key] };

class Planning {
  private readonly counts: Counts = { snapshot: '', files: 0, sizeBytes: 0, chunks: 0, directories: 0, symlinks: 0, fifos: 0, hardLinks: 0, skipped: 0, rootAttributes: null, rightsLeftOut: 0 };
  private readonly writer: ChunkedLinesWriter;
  private readonly tree: ChunkedLinesWriter;

  constructor(
    private readonly request: RestoreRequest,
    draft: string,
  ) {
    this.writer = new ChunkedLinesWriter(draft);
    this.tree = new ChunkedLinesWriter(draft, 'tree');
  }

  plan(control: TransferControl): WrittenPlan<PlannedRestore> {
    const finder = new TargetFinder(this.request.location);
    const needs = new RestoreNeeds();
    const places = new StagingPlaces(this.request.location, runHolder(this.request.location));
    try {
      const snapshot = openWanted(this.request);
      this.counts.snapshot = snapshot.name;
      for (const item of outsideRepositories(restoreItems(snapshot, this.request), this.request.location.destination)) {
        control.throwIfCancelled();
        if (areRightsLeftOut(item)) this.counts.rightsLeftOut += 1;
        const place = places.find(item, finder);
        if (place !== undefined) needs.add(item, finder.find(item.path), place);
        if (item.type === 'file') {
          this.writer.add(JSON.stringify(itemLine(item)), item.sizeBytes);
          this.counts.files += 1;
          this.counts.sizeBytes += item.sizeBytes;
          control.finishFile();
        } else if (item.type === 'directory') {
          this.planDirectory(item, finder);
        } else {
          this.add(item);
        }
      }
      const tree = this.tree.close();
      const files = this.writer.close();
      return { planned: { ...this.counts, chunks: files.chunks, places: places.others, needs: needs.list() }, parts: { plan: files.sha256, tree: tree.sha256 } };
    } finally {
      this.writer.abandon();
      this.tree.abandon();
      finder.close();
      places.close();
    }
  }

  /** What exists is looked at now: later it may be there because files were put into it. */
  private planDirectory(item: DirectoryItem, finder: TargetFinder): void {
    const { isDue, attributes, path } = item;
    if (path.length === 1) {
      const { destination } = this.request.location;
      // Of somebody else's directory, as the root directory mostly is, they cannot be set.
      if (isDue && this.request.overwrite !== 'never' && isMine(fs.statSync(destination, { bigint: true }))) this.counts.rootAttributes = attributes;
      return;
    }
    const isKept = (!isDue || this.request.overwrite === 'never') && isDirectory(finder, item);
    if (isKept && !isDue) return;
    this.add(isKept ? { ...item, isKept } : item);
  }

  private add(item: TreeItem): void {
    this.counts[countOf[item.type]] += 1;
    this.tree.add(JSON.stringify(itemLine(item)), 0);
  }
}

const countOf = { directory: 'directories', symlink: 'symlinks', fifo: 'fifos', hardLink: 'hardLinks', skipped: 'skipped' } as const;

/** Where something else lies, the end of the run says so. */
export function isDirectory(finder: TargetFinder, { path }: DirectoryItem): boolean {
  try {
    return finder.find(path)?.stats.isDirectory() === true;
  } catch (error) {
    if (error instanceof StorageError) return false;
    throw error;
  }
}
