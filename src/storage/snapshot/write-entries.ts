import { join } from 'node:path';
import type { JournalSums } from '../../core/journal-sums';
import type { ChunkSettings } from '../batch/chunk';
import { JournalCheck } from '../batch/journal-check';
import type { RunOwner } from '../batch/open-run';
import { runDirectory, type RunLocation } from '../batch/run-directory';
import type { TransferControl } from '../control';
import { StorageError } from '../errors';
import { fromJsonPath, type PathBytes } from '../path-bytes';
import { checksumLine } from './checksum-line';
import { addDamaged, noDamagedCopies } from './damaged-copies';
import { withDigestedDrafts, type DigestedDraft } from './digested-draft';
import { sharedName, type FileEntry, type SnapshotEntry } from './entry';
import { dataDirectory, dataPath } from './incoming-data';
import { mostlyGone } from './emptied';
import { EntryPlacer } from './place-entries';
import { FailureTally } from './failure-tally';
import { FurtherNames } from './further-names';
import { LateReader } from './late-reader';
import { LinkGroups, type TakeName } from './link-groups';
import { PlacedFiles } from './placed-files';
import type { PlanFailure, PlannedSnapshot } from './planned-snapshot';
import { putInPlace } from './snapshot-chunk';
import { journalEntries, readSnapshotJournal, type SnapshotJournal, type VanishedEntry } from './snapshot-journal';
import { ChunkLines } from './snapshot-lines';
import { readTree, type TreeLine } from './snapshot-plan';
import { snapshotEntries, type SnapshotCounts, type SnapshotRecord } from './snapshot-record';
import { sourceOf } from './sources';

export interface WriteRequest {
  readonly location: RunLocation;
  readonly owner: RunOwner;
  readonly settings: Omit<ChunkSettings, 'location'>;
  /** What history knows of the run's journals. */
  readonly known?: JournalSums;
}

/**
 * Writes the metadata and checksums of a snapshot whose chunks are done, from their journals and the plan's tree, as a
 * stream; makes what no chunk makes; and does what an interrupted attempt at a chunk has left undone.
 * @throws StorageError `RunAltered` when plan or journals are not the run's, errno names
 */
export function writeEntries({ location, owner, settings, known }: WriteRequest, planned: PlannedSnapshot, control: TransferControl) {
  const sums = new SnapshotSums(planned);
  const check = new JournalCheck(location, known, planned.chunks);
  const placed = new PlacedFiles(dataDirectory(location));
  const names = [snapshotEntries.metadata, snapshotEntries.checksums].map((name) => join('snapshot', name)) as [string, string];
  const reader = new LateReader({ ...settings, location }, owner, planned, control);
  const take: TakeName = (path, directory) => {
    const { entry, verifiedFrom } = reader.take(path, directory);
    sums.noteVerified(verifiedFrom);
    return entry;
  };
  const links = new LinkGroups(location, settings.sourceRoots, take);
  const placer = new EntryPlacer(dataDirectory(location), new FurtherNames(location, control), settings.syncEach);
  try {
    const digests = withDigestedDrafts(runDirectory(location), names, (metadata, checksums) => {
      const merge = new EntryMerge(location, links, placer, sums, metadata, checksums);
      for (let chunk = 0; chunk < planned.chunks; chunk += 1) {
        control.throwIfCancelled();
        const journal = readSnapshotJournal(location, chunk);
        if (journal === undefined) throw new StorageError('DestinationError', 'destination', location.destination, `The journal of chunk ${chunk + 1} of the run in ${location.destination} is gone`);
        check.pass(chunk, journal.tag);
        putInPlace(location, journal, settings.syncEach);
        placed.require(journal);
        sums.addChunk(journal);
        merge.addChunk(journal);
        control.moved(1);
      }
      check.end();
      merge.close();
      // GNU sha256sum takes an empty list for an error.
      return { metadataSha256: metadata.close(), checksumsSha256: checksums.isEmpty ? null : checksums.close() };
    });
    reader.notKept.forEach((each) => sums.notKept.add(each));
    return { sums, emptied: sums.emptied(), late: sums.late.total(), ...digests };
  } finally {
    [links, reader].forEach((each) => each.close());
  }
}

/** Brings files and everything else into their common order. Files come as the bytes that chunks have written. */
class EntryMerge {
  private readonly tree: Generator<TreeLine>;
  private next: IteratorResult<TreeLine>;
  private files = 0;

  constructor(
    location: RunLocation,
    private readonly links: LinkGroups,
    private readonly placer: EntryPlacer,
    private readonly sums: SnapshotSums,
    private readonly metadata: DigestedDraft,
    private readonly checksums: DigestedDraft,
  ) {
    this.tree = readTree(location);
    this.next = this.tree.next();
  }

  addChunk(journal: SnapshotJournal): void {
    const { counts, vanished } = journal.outcome;
    const first = this.files;
    this.files += counts.backedUp + counts.unchanged + counts.failed + vanished;
    this.links.note(first, journal);
    const lines = new ChunkLines(journal);
    for (; this.next.done !== true && this.next.value.at < this.files; this.next = this.tree.next()) {
      this.addLines(lines.take(this.next.value.at - first));
      this.addLine(this.next.value);
    }
    this.addLines(lines.take());
  }

  /** What follows the last file. */
  close(): void {
    for (; this.next.done !== true; this.next = this.tree.next()) this.addLine(this.next.value);
    this.placer.close();
  }

  private addLines({ lines, checksums }: { readonly lines: Buffer; readonly checksums: Buffer }): void {
    this.metadata.add(lines);
    this.checksums.add(checksums);
  }

  private addLine(line: TreeLine): void {
    const planned = 'entry' in line ? line.entry : this.links.further(line);
    if (planned.state === 'vanished') return this.sums.addVanished(planned);
    const entry = this.placer.place(planned);
    if (entry.state === 'failed' && !('entry' in line && line.entry.state === 'failed')) this.sums.late.add(fromJsonPath(entry.path), entry.failure);
    this.metadata.add(Buffer.from(`${JSON.stringify(entry)}\n`));
    if (entry.type === 'file' && entry.state !== 'failed') this.checksums.add(checksumLine(entry.sha256, dataPath(snapshotEntries.data, fromJsonPath(entry.path))));
    this.sums.add(entry);
  }
}

/** Adds a snapshot up. */
class SnapshotSums {
  private readonly counts: { -readonly [Key in keyof SnapshotCounts]: SnapshotCounts[Key] };
  readonly notKept = new Set<string>();
  verifiedFrom: SnapshotRecord['verifiedFrom'] = null;
  damaged = noDamagedCopies;
  /** What neither the plan nor a chunk knew. */
  readonly late = new FailureTally();

  /** Files of each source that were gone when their turn came, by its path. */
  private readonly gone = new Map<string, number>();

  constructor(private readonly planned: PlannedSnapshot) {
    const { vanished, excluded } = planned;
    this.counts = { files: 0, directories: 0, symlinks: 0, specials: 0, newFiles: 0, changedFiles: 0, unchangedFiles: 0, failed: 0, vanished, excluded, sizeBytes: 0, copiedBytes: 0 };
  }

  addChunk(journal: SnapshotJournal): void {
    const { counts: { backedUp, unchanged, failed }, sizeBytes, unchangedBytes, newFiles, vanished, notKept, damaged = noDamagedCopies, verifiedFrom } = journal.outcome;
    const { counts } = this;
    counts.files += backedUp + unchanged;
    counts.unchangedFiles += unchanged;
    counts.newFiles += newFiles;
    counts.failed += failed;
    counts.vanished += vanished;
    counts.sizeBytes += sizeBytes + unchangedBytes;
    counts.copiedBytes += sizeBytes;
    this.damaged = addDamaged(this.damaged, damaged);
    notKept.forEach((each) => this.notKept.add(each));
    if (vanished > 0) for (const { state, path } of journalEntries(journal)) if (state === 'vanished') this.addGone(fromJsonPath(path));
    if (backedUp > 0) this.noteVerified(verifiedFrom);
  }

  /** What is in no chunk. */
  add(entry: SnapshotEntry): void {
    const { counts } = this;
    if (entry.state === 'failed') counts.failed += 1;
    else if (entry.type === 'directory') counts.directories += 1;
    else if (entry.type === 'symlink') counts.symlinks += 1;
    else if (entry.type === 'file') this.addFurtherName(entry);
    else counts.specials += 1;
  }

  /** A further name that is gone. */
  addVanished({ path }: VanishedEntry): void {
    this.counts.vanished += 1;
    this.addGone(fromJsonPath(path));
  }

  noteVerified(from: SnapshotRecord['verifiedFrom']): void {
    if (from !== null) this.verifiedFrom = this.verifiedFrom === 'cache' ? 'cache' : from;
  }

  private addGone(path: PathBytes): void {
    const source = sourceOf(this.planned.walked ?? [], path);
    if (source !== undefined) this.gone.set(source.path, (this.gone.get(source.path) ?? 0) + 1);
  }

  /** Sources of which too little was found. */
  emptied(): PlanFailure[] {
    const { walked = [], emptied = [] } = this.planned;
    return [...emptied, ...walked.flatMap((source) => mostlyGone(source, this.gone.get(source.path) ?? 0))];
  }

  private addFurtherName(entry: FileEntry): void {
    const { counts } = this;
    const { state, sizeBytes } = entry;
    counts.files += 1;
    counts.sizeBytes += sizeBytes;
    if (sharedName(entry) === undefined) counts.copiedBytes += sizeBytes;
    if (state === 'unchanged') counts.unchangedFiles += 1;
    else counts.newFiles += 1;
  }

  total(): SnapshotCounts {
    const { files, unchangedFiles, newFiles } = this.counts;
    return { ...this.counts, changedFiles: files - unchangedFiles - newFiles };
  }
}

