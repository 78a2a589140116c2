import { ChunkedLinesWriter } from '../batch/chunked-lines';
import type { ProvedPlan } from '../batch/plan-digests';
import { planOnce, type WrittenPlan } from '../batch/plan-once';
import { runDirectory, type RunLocation } from '../batch/run-directory';
import { inRun } from '../batch/run-mark';
import type { TransferControl } from '../control';
import { StorageError } from '../errors';
import { pathText, toJsonPath, type PathBytes } from '../path-bytes';
import { noteWorker } from '../worker-note';
import { copiedBytes } from '../batch/room';
import { modeText } from './entry';
import { FailureTally } from './failure-tally';
import { makeDataDirectories } from './incoming-data';
import { isUnchanged } from './is-unchanged';
import type { Parents } from './parent';
import { plannedSnapshot, type PlannedSnapshot } from './planned-snapshot';
import { fileLine, type TreeEntry } from './snapshot-plan';
import type { WalkedSource } from './sources';
import type { Found, NotFound } from './found';
import { walkSources, type SourcesRequest } from './walk-sources';
import { identityOf } from './walked';

export interface SnapshotPlanRequest extends SourcesRequest {
  readonly location: RunLocation;
  /** Sync each directory by itself: where syncing the file system at once cannot be trusted. */
  readonly syncEach: boolean;
}

/** An unchanged file is a link and a line of metadata: a tenth of a copy or less. */
const UNCHANGED_WEIGHT = 0.1;

/** Their names travel through history. */
const MOST_LEFT_OUT = 20;
const MOST_IDLE = 20;

/**
 * Walks through the sources and writes the plan of a snapshot: files in chunks, each with what a snapshot before says of
 * it, and everything else in a list of its own; then makes the directories for the copies. All of it is durable when this
 * answers: history knows then that it is there. The first plan counts.
 * @throws StorageError `SnapshotNotFound` and `SnapshotDamaged` of a parent that was named, `SourceNotFound` when a source is not there, what is wrong with the first one when none can be read, `StagingRevoked`, `Cancelled`, errno names
 */
export function planSnapshot(request: SnapshotPlanRequest, control: TransferControl): ProvedPlan<PlannedSnapshot> {
  const { location } = request;
  inRun(location, (opened) => noteWorker(runDirectory(opened), location.runId));
  const planned = planOnce(location, plannedSnapshot, (draft) => writePlan(request, draft, control));
  makeDataDirectories(location, request.syncEach, control);
  return planned;
}

function writePlan(request: SnapshotPlanRequest, draft: string, control: TransferControl): WrittenPlan<PlannedSnapshot> {
  const writer = new SnapshotPlanWriter(draft, request.rehash);
  const add = (found: Found | NotFound, parents: Parents): void => {
    writer.add(found, parents);
    control.finishFile();
  };
  try {
    const { names, parent, parents, leftOut, sources, emptied, idleExcludes } = walkSources(request.location.destination, request, add, control);
    writer.requireAny(names);
    const { parts, ...counts } = writer.close();
    const sums = { vanished: sumOf(sources, 'vanished'), excluded: sumOf(sources, 'excluded') };
    return { planned: { ...counts, ...sums, leftOut: leftOut.slice(0, MOST_LEFT_OUT), parent, parents, sources: names, walked: sources, emptied, idleExcludes: [...idleExcludes].slice(0, MOST_IDLE) }, parts };
  } finally {
    writer.abandon();
  }
}

class SnapshotPlanWriter {
  private readonly files: ChunkedLinesWriter;
  private readonly tree: ChunkedLinesWriter;
  private readonly firstNames = new Map<string, { readonly path: PathBytes; readonly file: number }>();
  private readonly failures = new FailureTally();
  private counts = { files: 0, sizeBytes: 0 };
  private readonly needed = { bytes: 0, files: 0 };
  private others = 0;

  constructor(
    directory: string,
    private readonly rehash: boolean,
  ) {
    this.files = new ChunkedLinesWriter(directory);
    this.tree = new ChunkedLinesWriter(directory, 'tree');
  }

  /** @throws StorageError when nothing was found but what could not be looked at, and the directories above: what was wrong with the first */
  requireAny(sources: readonly string[]): void {
    if (this.counts.files > 0 || this.others > 0) return;
    const [first] = this.failures.total().failures;
    const why = first === undefined ? '' : `: ${first.failure.message}`;
    throw new StorageError(first?.failure.code ?? 'ENOENT', first?.failure.side ?? 'source', sources.join(', '), `There is nothing to back up: none of ${sources.map(pathText).join(', ')} can be read${why}`);
  }

  add(found: Found | NotFound, parents: Parents): void {
    if (found.stats === undefined) this.addFailure(found);
    else if (found.stats.isFile()) this.addFile(found, parents);
    else this.addOther(found);
  }

  close(): Pick<PlannedSnapshot, 'files' | 'sizeBytes' | 'needed' | 'chunks' | 'failed' | 'failureCounts' | 'failures'> & Pick<WrittenPlan<PlannedSnapshot>, 'parts'> {
    const tree = this.tree.close();
    const files = this.files.close();
    return { ...this.counts, needed: this.needed, ...this.failures.total(), chunks: files.chunks, parts: { plan: files.sha256, tree: tree.sha256 } };
  }

  abandon(): void {
    this.files.abandon();
    this.tree.abandon();
  }

  private addFile(found: Found, parents: Parents): void {
    const { path, stats, directory } = found;
    const first = this.firstName(found);
    if (first !== undefined) return this.addLine({ name: toJsonPath(path), first: toJsonPath(first.path), firstFile: first.file, id: identityOf(stats), d: directory });
    const known = parents.knownFile(found);
    const unchanged = known !== undefined && !this.rehash && isUnchanged(known.entry, found);
    const sizeBytes = Number(stats.size);
    this.files.add(fileLine({ path, known, isUnchanged: unchanged, directory }), unchanged ? 0 : sizeBytes, unchanged ? UNCHANGED_WEIGHT : 1);
    this.counts.files += 1;
    this.counts.sizeBytes += sizeBytes;
    // Of the same size it may have the same content, and be linked.
    if (known?.entry.sizeBytes === sizeBytes) return;
    this.needed.bytes += copiedBytes(stats);
    this.needed.files += 1;
  }

  /** Of a file with several names, the one that was met first; undefined for the first one itself. */
  private firstName({ path, stats }: Found): { readonly path: PathBytes; readonly file: number } | undefined {
    if (stats.nlink === 1n) return undefined;
    const inode = identityOf(stats);
    const first = this.firstNames.get(inode);
    if (first === undefined) this.firstNames.set(inode, { path, file: this.counts.files });
    return first;
  }

  private addOther({ path, stats, linkTarget, isAbove }: Found): void {
    const attributes = { path: toJsonPath(path), mode: modeText(stats.mode), uid: Number(stats.uid), gid: Number(stats.gid), mtimeNs: String(stats.mtimeNs), state: 'recorded' as const };
    if (stats.isDirectory()) this.addLine({ entry: { ...attributes, type: 'directory' } });
    else if (linkTarget !== undefined) this.addLine({ entry: { ...attributes, type: 'symlink', linkTarget: toJsonPath(linkTarget) } });
    else if (stats.isFIFO()) this.addLine({ entry: { ...attributes, type: 'fifo' } });
    else if (stats.isSocket()) this.addLine({ entry: { ...attributes, type: 'socket' } });
    else this.addLine({ entry: { ...attributes, type: stats.isBlockDevice() ? 'blockDevice' : 'characterDevice', deviceNumber: deviceNumber(stats.rdev) } });
    if (isAbove !== true) this.others += 1;
  }

  private addFailure({ path, type, failure }: NotFound): void {
    this.addLine({ entry: { path: toJsonPath(path), type, state: 'failed', failure } });
    this.failures.add(path, failure);
  }

  private addLine(line: TreeEntry): void {
    this.tree.add(JSON.stringify({ at: this.counts.files, ...line }), 0);
  }
}

function sumOf(sources: readonly WalkedSource[], what: 'vanished' | 'excluded'): number {
  return sources.reduce((sum, source) => sum + source[what], 0);
}

/** `8:1`, as Linux packs major and minor number. */
function deviceNumber(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn & 0xffffffffn);
  return `${major}:${minor}`;
}
