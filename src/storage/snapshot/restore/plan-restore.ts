import { join } from 'node:path';
import { ChunkedLinesWriter } from '../../batch/chunked-lines';
import { withDraft } from '../../batch/draft';
import { planOnce } from '../../batch/plan-once';
import { runDirectory, runEntries, type RunLocation } from '../../batch/run-directory';
import type { TransferControl } from '../../control';
import { StorageError } from '../../errors';
import { openWanted } from './open-source';
import { areRightsLeftOut, type Attributes } from './attributes';
import { outsideRepositories } from './outside-repositories';
import type { RestoreRequest } from './request';
import { itemLine, type DirectoryItem, type TreeItem } from './restore-item';
import { restoreItems } from './restore-items';
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
}

const TREE = 'tree.ndjson';

/** Where a plan has what is no file of its own. */
export function treePath(location: RunLocation): string {
  return join(runDirectory(location), runEntries.plan, TREE);
}

/**
 * Plans a restore: files in chunks, and beside them everything else in the snapshot's order. Nothing else is written. The
 * first plan counts: repeated, or late, this answers what is there.
 * @throws StorageError `SnapshotNotFound`, `SnapshotDamaged`, `RepositoryNotFound`, `RepositoryNotTrusted`,
 *   `InvalidInput` for a path that is not in the snapshot, errno names
 */
export function planRestore(request: RestoreRequest, control: TransferControl): PlannedRestore {
  return planOnce(request.location, (draft) => withDraft(draft, TREE, (tree) => new Planning(request, draft, (item) => tree.add(itemLine(item)), () => tree.close()).plan(control)));
}

type Counts = { -readonly [Key in keyof PlannedRestore]: PlannedRestore[Key] };

class Planning {
  private readonly counts: Counts = { snapshot: '', files: 0, sizeBytes: 0, chunks: 0, directories: 0, symlinks: 0, fifos: 0, hardLinks: 0, skipped: 0, rootAttributes: null, rightsLeftOut: 0 };
  private readonly writer: ChunkedLinesWriter;

  constructor(
    private readonly request: RestoreRequest,
    draft: string,
    private readonly addToTree: (item: TreeItem) => void,
    private readonly closeTree: () => void,
  ) {
    this.writer = new ChunkedLinesWriter(draft);
  }

  plan(control: TransferControl): PlannedRestore {
    const finder = new TargetFinder(this.request.location);
    try {
      const snapshot = openWanted(this.request);
      this.counts.snapshot = snapshot.name;
      for (const item of outsideRepositories(restoreItems(snapshot, this.request), this.request.location.destination)) {
        control.throwIfCancelled();
        if (areRightsLeftOut(item)) this.counts.rightsLeftOut += 1;
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
      this.closeTree();
      return { ...this.counts, chunks: this.writer.close() };
    } finally {
      this.writer.abandon();
      finder.close();
    }
  }

  /** What exists is looked at now: later it may be there because files were put into it. */
  private planDirectory(item: DirectoryItem, finder: TargetFinder): void {
    const { isDue, attributes, path } = item;
    if (path.length === 1) {
      if (isDue && this.request.overwrite !== 'never') this.counts.rootAttributes = attributes;
      return;
    }
    const isKept = (!isDue || this.request.overwrite === 'never') && isDirectory(finder, item);
    if (isKept && !isDue) return;
    this.add(isKept ? { ...item, isKept } : item);
  }

  private add(item: TreeItem): void {
    this.counts[countOf[item.type]] += 1;
    this.addToTree(item);
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
