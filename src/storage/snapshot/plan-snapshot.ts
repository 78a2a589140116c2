import { ChunkedLinesWriter } from '../batch/chunked-lines';
import type { ProvedPlan } from '../batch/plan-digests';
import { planOnce, type WrittenPlan } from '../batch/plan-once';
import { runDirectory, type RunLocation } from '../batch/run-directory';
import { inRun } from '../batch/run-mark';
import type { TransferControl } from '../control';
import { StorageError, type Side } from '../errors';
import { pathText, toJsonPath, type PathBytes } from '../path-bytes';
import { noteWorker } from '../worker-note';
import { modeText } from './entry';
import { orderKey } from './entry-order';
import { makeDataDirectories, maxSourcePathBytes } from './incoming-data';
import { isUnchanged, Parent } from './parent';
import { plannedSnapshot, type PlanFailure, type PlannedSnapshot } from './planned-snapshot';
import { fileLine, type TreeEntry } from './snapshot-plan';
import { distinctSources, isVanished, walk, type Found, type LeftOut, type NotFound, type WalkRequest } from './walk';

export interface SnapshotPlanRequest extends Omit<WalkRequest, 'maxPathBytes'> {
  readonly location: RunLocation;
  readonly host: string;
  /** Read every file, whatever the parent knows of it. */
  readonly rehash: boolean;
}

/** An unchanged file is a link and a line of metadata: a tenth of a copy or less. */
const UNCHANGED_WEIGHT = 0.1;

/** Their names travel through history. */
const MOST_FAILURES = 20;
const MOST_LEFT_OUT = 20;

/**
 * Walks through the sources and writes the plan of a snapshot: files in chunks, each with what the parent snapshot says of
 * it, and everything else in a list of its own; then makes the directories for the copies. The first plan counts.
 * @throws StorageError `SourceNotFound` when none of the sources is there, `StagingRevoked`, `Cancelled`, errno names
 */
export function planSnapshot(request: SnapshotPlanRequest, control: TransferControl): ProvedPlan<PlannedSnapshot> {
  const { location } = request;
  inRun(location, (opened) => noteWorker(runDirectory(opened), location.runId));
  const planned = planOnce(location, plannedSnapshot, (draft) => writePlan({ ...request, sources: distinctSources(request.sources) }, draft, control));
  makeDataDirectories(location, control);
  return planned;
}

function writePlan(request: SnapshotPlanRequest, draft: string, control: TransferControl): WrittenPlan<PlannedSnapshot> {
  const sources = request.sources.map(({ path }) => path);
  const parent = Parent.find(request.location.destination, { host: request.host, sources });
  const writer = new SnapshotPlanWriter(draft, parent, request.rehash);
  const leftOut: LeftOut = { paths: [], excluded: 0 };
  try {
    for (const found of walk({ ...request, maxPathBytes: maxSourcePathBytes(request.location.destination) }, leftOut, control)) {
      writer.add(found, sources);
      control.finishFile();
    }
    if (writer.isEmpty) throw new StorageError('ENOENT', 'source', sources.join(', '), `There is nothing to back up: none of ${sources.map(pathText).join(', ')} can be read`);
    const { parts, ...counts } = writer.close();
    return { planned: { ...counts, excluded: leftOut.excluded, leftOut: leftOut.paths.slice(0, MOST_LEFT_OUT), parent: parent?.name ?? null, sources }, parts };
  } finally {
    writer.abandon();
    parent?.close();
  }
}

class SnapshotPlanWriter {
  private readonly files: ChunkedLinesWriter;
  private readonly tree: ChunkedLinesWriter;
  private readonly firstNames = new Map<string, { readonly path: PathBytes; readonly file: number }>();
  private readonly failures: PlanFailure[] = [];
  private readonly failureCounts = new Map<string, { code: string; side: Side; count: number }>();
  private counts = { files: 0, sizeBytes: 0, failed: 0, vanished: 0 };
  private others = 0;

  constructor(
    directory: string,
    private readonly parent: Parent | undefined,
    private readonly rehash: boolean,
  ) {
    this.files = new ChunkedLinesWriter(directory);
    this.tree = new ChunkedLinesWriter(directory, 'tree');
  }

  /** Nothing was found but what could not be looked at, and the directories above. */
  get isEmpty(): boolean {
    return this.counts.files === 0 && this.others === 0;
  }

  add(found: Found | NotFound, sources: readonly string[]): void {
    if (found.stats === undefined) this.addFailure(found, sources);
    else if (found.stats.isFile()) this.addFile(found);
    else this.addOther(found);
  }

  close(): Pick<PlannedSnapshot, 'files' | 'sizeBytes' | 'chunks' | 'failed' | 'failureCounts' | 'failures' | 'vanished'> & Pick<WrittenPlan<PlannedSnapshot>, 'parts'> {
    const tree = this.tree.close();
    const files = this.files.close();
    return { ...this.counts, failures: this.failures, failureCounts: [...this.failureCounts.values()], chunks: files.chunks, parts: { plan: files.sha256, tree: tree.sha256 } };
  }

  abandon(): void {
    this.files.abandon();
    this.tree.abandon();
  }

  private addFile(found: Found): void {
    const { path, stats } = found;
    const first = this.firstName(found);
    if (first !== undefined) return this.addLine({ name: toJsonPath(path), first: toJsonPath(first.path), firstFile: first.file });
    const known = this.parent?.knownFile(orderKey(path));
    const unchanged = known !== undefined && !this.rehash && isUnchanged(known, found);
    const sizeBytes = Number(stats.size);
    this.files.add(fileLine({ path, known, isUnchanged: unchanged }), unchanged ? 0 : sizeBytes, unchanged ? UNCHANGED_WEIGHT : 1);
    this.counts.files += 1;
    this.counts.sizeBytes += sizeBytes;
  }

  /** Of a file with several names, the one that was met first; undefined for the first one itself. */
  private firstName({ path, stats }: Found): { readonly path: PathBytes; readonly file: number } | undefined {
    if (stats.nlink === 1n) return undefined;
    const inode = `${stats.dev}:${stats.ino}`;
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

  private addFailure(found: NotFound, sources: readonly string[]): void {
    if (isVanished(found, sources)) return void (this.counts.vanished += 1);
    const { path, type, failure } = found;
    this.addLine({ entry: { path: toJsonPath(path), type, state: 'failed', failure } });
    this.counts.failed += 1;
    const { code, side } = failure;
    const before = this.failureCounts.get(`${side} ${code}`)?.count ?? 0;
    this.failureCounts.set(`${side} ${code}`, { code, side, count: before + 1 });
    if (this.failures.length < MOST_FAILURES) this.failures.push({ path: pathText(path), failure });
  }

  private addLine(line: TreeEntry): void {
    this.tree.add(JSON.stringify({ at: this.counts.files, ...line }), 0);
  }
}

/** `8:1`, as Linux packs major and minor number. */
function deviceNumber(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn & 0xffffffffn);
  return `${major}:${minor}`;
}
