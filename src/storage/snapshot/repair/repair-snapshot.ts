import { join } from 'node:path';
import type { TransferControl } from '../../control';
import { errnoName, StorageError } from '../../errors';
import { refuseNested } from '../../inside-repository';
import { bytewise, fromJsonPath, pathText, type PathBytes } from '../../path-bytes';
import { checksumLine } from '../checksum-line';
import { EntryChecker, hasCopy, isBackedUp, type CheckedSnapshot, type CopiedEntry } from '../check/check-entry';
import { dataPath, type Problem } from '../check/problem';
import { openSnapshot, type OpenSnapshot } from '../metadata';
import { snapshotEntries } from '../snapshot-record';
import { RepositoryNames } from './names';
import { repairDirectory, repairMetadata, repairSymlink } from './repair-entry';
import { intact, repairFile, type RepairTools } from './repair-file';
import { inWorkbench } from './workbench';

export interface RepairRequest {
  readonly repository: string;
  readonly snapshot: string;
  /** Where intact copies may be: all of the repository. */
  readonly snapshots: readonly string[];
  /** Of this snapshot. */
  readonly problems: readonly Problem[];
}

export interface Repaired {
  /** In the order of the problems: why one could not be repaired, or null where it is. */
  readonly reasons: readonly (string | null)[];
}

/** An entry of the metadata that something is wrong with. */
interface WrongEntry {
  readonly path: PathBytes;
  readonly entry: CopiedEntry;
}

/**
 * Repairs what a check has found in a snapshot, and looks at it again afterwards: only what is right then is answered as
 * repaired. Nothing is ever removed that has content of its own.
 * @throws StorageError `TargetInsideRepository`, `Cancelled`, errno names of the repository as a whole
 */
export function repairSnapshot(request: RepairRequest, control: TransferControl): Repaired {
  refuseNested(request.repository);
  const opened = openIntact(request);
  if (typeof opened === 'string') return { reasons: request.problems.map(() => opened) };
  const wrong = wrongEntries(opened, request.problems, control);
  const digests = new Set([...wrong.values()].flatMap(({ entry }) => (entry.type === 'file' ? [entry.sha256] : [])));
  const names = new RepositoryNames(request.repository, request.snapshots, digests, control);
  try {
    return inWorkbench(request.repository, control, (workbench) => {
      const repair = new SnapshotRepair(opened, wrong, { names, workbench, control });
      repair.entries(request.problems);
      return { reasons: request.problems.map((problem) => repair.reasonOf(problem)) };
    });
  } finally {
    names.close();
  }
}

function openIntact({ repository, snapshot }: RepairRequest): OpenSnapshot | string {
  try {
    return openSnapshot(repository, snapshot);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return 'nothing says any more what should be there';
  }
}

/** Entries by the path that problems name them by, in the order of the metadata: directories before what is in them. */
function wrongEntries(snapshot: OpenSnapshot, problems: readonly Problem[], control: TransferControl): Map<string, WrongEntry> {
  const wanted = new Set(problems.map(keyOf));
  const found = new Map<string, WrongEntry>();
  for (const { path, entry } of snapshot.entries()) {
    control.throwIfCancelled();
    const key = bytewise(dataPath(path));
    if (wanted.has(key) && hasCopy(entry)) found.set(key, { path, entry });
  }
  return found;
}

function keyOf({ path }: Problem): string {
  return bytewise(fromJsonPath(path));
}

class SnapshotRepair {
  /** Why an entry could not be repaired, by its key. */
  private readonly reasons = new Map<string, string>();
  private readonly checked: CheckedSnapshot;

  constructor(
    private readonly snapshot: OpenSnapshot,
    private readonly wrong: ReadonlyMap<string, WrongEntry>,
    private readonly tools: RepairTools,
  ) {
    this.checked = { repository: snapshot.repository, name: snapshot.name, directory: snapshot.directory, sources: snapshot.record.sources };
  }

  /** Content first, from the top down; then modes and times from the bottom up, since what is put into a directory changes its time. */
  entries(problems: readonly Problem[]): void {
    for (const problem of problems) if (problem.kind === 'unreadable' && REFUSED.includes(problem.found)) this.reasons.set(keyOf(problem), 'its reading is not allowed');
    const all = [...this.wrong];
    for (const [key, one] of all) this.trying(key, () => this.repairContent(one));
    for (const [key, one] of all.reverse()) this.trying(key, () => this.repairMetadata(one));
  }

  /** Null for what is right now. */
  reasonOf(problem: Problem): string | null {
    if (problem.kind === 'extra') return 'what does not belong there is left alone';
    const key = keyOf(problem);
    const one = this.wrong.get(key);
    if (one === undefined) return fromJsonPath(problem.path) === snapshotEntries.checksums ? this.repairChecksums() : 'there is nothing to repair it from';
    const reason = this.reasons.get(key);
    return reason ?? this.stillWrong(one);
  }

  private repairContent({ path, entry }: WrongEntry): string | undefined {
    const name = { snapshot: this.snapshot.name, path };
    this.tools.control.startFile(pathText(path));
    if (entry.type === 'directory') return repairDirectory(name, entry, this.tools);
    return entry.type === 'symlink' ? repairSymlink(name, entry, this.tools) : repairFile(name, entry, this.tools);
  }

  private repairMetadata({ path, entry }: WrongEntry): string | undefined {
    this.tools.control.finishFile();
    if (!isBackedUp(this.checked.sources, path)) return undefined;
    return repairMetadata(this.snapshot.repository, { snapshot: this.snapshot.name, path }, entry, this.tools);
  }

  private stillWrong({ path, entry }: WrongEntry): string | null {
    let reason: string | null = null;
    const checker = new EntryChecker(this.checked);
    try {
      const read = { path, entry, key: '', offset: 0 };
      const copy = checker.check(read, ({ expected, found }) => (reason = `expected ${expected}, found ${found} still`));
      if (copy !== undefined && entry.type === 'file' && intact({ snapshot: this.snapshot.name, path }, entry, this.tools) === undefined) reason = 'it is damaged still';
      return reason;
    } finally {
      checker.close();
    }
  }

  private repairChecksums(): string | null {
    const { record, directory } = this.snapshot;
    const list = join(directory, snapshotEntries.checksums);
    if (record.checksumsSha256 === null) return 'nothing says what it should hold';
    const { checksumsSha256 } = record;
    return this.reasonFor(() => {
      this.tools.workbench.place(this.tools.workbench.writeFile(checksumLines(this.snapshot), checksumsSha256), list);
      return undefined;
    });
  }

  /** An entry that something has gone wrong with is not touched again. */
  private trying(key: string, repair: () => string | undefined): void {
    if (this.reasons.has(key)) return;
    const reason = this.reasonFor(repair);
    if (reason !== null) this.reasons.set(key, reason);
  }

  private reasonFor(repair: () => string | undefined): string | null {
    this.tools.control.throwIfCancelled();
    try {
      return repair() ?? null;
    } catch (error) {
      if (errnoName(error) === undefined || (error instanceof StorageError && error.code === 'Cancelled')) throw error;
      return error instanceof StorageError ? error.message : String(errnoName(error));
    }
  }
}

/** What a system says to those without rights: no damage, and nothing to be replaced for it. */
const REFUSED = ['EACCES', 'EPERM'];

function* checksumLines(snapshot: OpenSnapshot): Generator<Buffer> {
  for (const { path, entry } of snapshot.entries()) {
    if (entry.type === 'file' && entry.state !== 'failed') yield checksumLine(entry.sha256, dataPath(path));
  }
}
