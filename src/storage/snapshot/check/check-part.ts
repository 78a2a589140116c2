import { join } from 'node:path';
import { isInShare, type DataShare } from '../../../core/data-share';
import type { TransferControl } from '../../control';
import { errnoName, StorageError } from '../../errors';
import { pathText } from '../../path-bytes';
import { readBackFrom, whereToRead, type ReadFrom } from '../../read-back';
import type { FileEntry } from '../entry';
import { readEntries, type MetadataRange, type ReadEntry } from '../metadata';
import { snapshotEntries } from '../snapshot-record';
import { EntryChecker, type CheckedSnapshot, type FoundCopy } from './check-entry';
import { dataPath, problem, type Problem } from './problem';
import { ReadInodes } from './read-inodes';

export interface CheckPartRequest {
  readonly repository: string;
  readonly snapshot: string;
  /** From the snapshot's record. */
  readonly sources: readonly string[];
  /** The entries to be checked, by their place in the metadata. */
  readonly range: MetadataRange;
  /** Files whose bytes are read; null reads none. */
  readonly share: DataShare | null;
  /** Of `inodeMemory`, the same one for all parts of a check. */
  readonly inodes: SharedArrayBuffer;
}

/** What became of a part. */
export interface CheckedPart {
  readonly problems: readonly Problem[];
  readonly entries: number;
  /** Files of the share, and their bytes; those that were read for another name are among them. */
  readonly shareFiles: number;
  readonly shareBytes: number;
  /** What was really read. */
  readonly readFiles: number;
  readonly readBytes: number;
  /** Where from; undefined when nothing was read. */
  readonly readFrom: ReadFrom | undefined;
}

/**
 * Compares the copies of some entries of a snapshot with its metadata, and reads the files of the share back. Changes
 * nothing. What is wrong is in the answer: at most a few problems an entry.
 * @throws StorageError `Cancelled`, `SnapshotDamaged`, errno names of the metadata itself
 */
export function checkSnapshotPart(request: CheckPartRequest, control: TransferControl): CheckedPart {
  const directory = join(request.repository, request.snapshot);
  const part = new PartCheck(request, { repository: request.repository, name: request.snapshot, directory, sources: request.sources }, control);
  try {
    for (const entry of readEntries(join(directory, snapshotEntries.metadata), request.range)) part.check(entry);
    return part.result();
  } finally {
    part.close();
  }
}

class PartCheck {
  private readonly problems: Problem[] = [];
  private readonly counts = { entries: 0, shareFiles: 0, shareBytes: 0, readFiles: 0, readBytes: 0 };
  private readonly checker: EntryChecker;
  private readonly inodes: ReadInodes;
  private where: ReadFrom | undefined;
  private readFrom: ReadFrom | undefined;

  constructor(
    private readonly request: CheckPartRequest,
    private readonly snapshot: CheckedSnapshot,
    private readonly control: TransferControl,
  ) {
    this.checker = new EntryChecker(snapshot);
    this.inodes = new ReadInodes(request.inodes);
  }

  check(read: ReadEntry): void {
    this.control.throwIfCancelled();
    const copy = this.checker.check(read, (found) => this.problems.push(found));
    this.counts.entries += 1;
    const { entry } = read;
    const { share } = this.request;
    if (entry.type === 'file' && entry.state !== 'failed' && share !== null && isInShare(share, entry.sha256)) {
      this.counts.shareFiles += 1;
      this.counts.shareBytes += entry.sizeBytes;
      if (copy !== undefined) this.checkContent(read, entry, copy);
    }
    this.control.finishFile();
  }

  close(): void {
    this.checker.close();
  }

  result(): CheckedPart {
    this.control.enter('idle');
    return { problems: this.problems, ...this.counts, readFrom: this.readFrom };
  }

  private checkContent({ path }: ReadEntry, entry: FileEntry, copy: FoundCopy): void {
    const report = (kind: 'damaged' | 'unreadable', found: string): void => void this.problems.push(problem(kind, this.snapshot.name, dataPath(path), `sha256 ${entry.sha256}`, found));
    const read = (): string => this.read(pathText(path), entry, copy);
    try {
      const sha256 = copy.stats.nlink > 1n ? this.inodes.digestOf(copy.stats, read) : read();
      if (sha256 !== entry.sha256) report('damaged', `sha256 ${sha256}`);
    } catch (error) {
      const code = errnoName(error);
      if (code === undefined || (error instanceof StorageError && error.code === 'Cancelled')) throw error;
      report('unreadable', code);
    }
  }

  private read(name: string, entry: FileEntry, copy: FoundCopy): string {
    this.control.startFile(name);
    this.where ??= whereToRead(this.snapshot.directory, 'device');
    const { sha256, sizeBytes, from } = readBackFrom(copy.path, this.where, this.control, entry.sizeBytes);
    this.counts.readFiles += 1;
    this.counts.readBytes += sizeBytes;
    this.readFrom = this.readFrom === 'cache' ? 'cache' : from;
    return sha256;
  }
}
