import * as fs from 'node:fs';
import { isBelow } from '../../../core/roots';
import { errnoName, isErrno } from '../../errors';
import { isSameInode, kindOf } from '../../file-stat';
import { bytewise, fromJsonPath, pathOf, pathText, splitPath, type PathBytes } from '../../path-bytes';
import { modeText, PERMISSION_BITS, sharedName, type DirectoryEntry, type FileEntry, type SnapshotEntry, type SymlinkEntry } from '../entry';
import type { ReadEntry } from '../metadata';
import { OpenBranch } from './open-branch';
import { copyOf, dataPath, problem, type Problem, type ProblemKind } from './problem';

/** The snapshot that is looked at. */
export interface CheckedSnapshot {
  readonly repository: string;
  readonly name: string;
  /** Absolute path of its directory. */
  readonly directory: string;
  readonly sources: readonly string[];
}

/** An entry that has a copy below `data`. */
export type CopiedEntry = FileEntry | DirectoryEntry | SymlinkEntry;

/** A copy that could be looked at. */
export interface FoundCopy {
  /** A path for it by way of its open directory, until others are opened. */
  readonly path: PathBytes;
  readonly stats: fs.BigIntStats;
}

/** What opening the directory of a copy says where that is missing or no directory. */
export const NO_WAY: readonly string[] = ['ENOENT', 'ENOTDIR', 'ELOOP', 'SourceNotCanonical'];

const inWords: Readonly<Record<CopiedEntry['type'], string>> = { file: 'a regular file', directory: 'a directory', symlink: 'a symbolic link' };

/** Special files and what could not be backed up are recorded only. */
export function hasCopy(entry: SnapshotEntry): entry is CopiedEntry {
  return entry.state !== 'failed' && entry.type in inWords;
}

/** The mode that the copy of an entry has. */
export function copyMode(entry: CopiedEntry): number {
  return Number.parseInt(entry.mode, 8) & PERMISSION_BITS;
}

/** Is it a source or below one, rather than on the way to one? */
export function isBackedUp(sources: readonly string[], path: PathBytes): boolean {
  return sources.some((source) => (typeof path === 'string' ? isBelow(source, path) : isBelow(bytewise(source), bytewise(path))));
}

type Report = (kind: ProblemKind, expected: string, actual: string) => void;
type Wrong = (expected: string, actual: string) => void;

/** Compares copies with what metadata says of them. */
export class EntryChecker {
  /** Where the last copy was missed: most of what is missing lies together. */
  private missedIn: Buffer | undefined;

  private readonly branch: OpenBranch;
  /** First names of files are elsewhere: looking for them must not lead away from where entries come by. */
  private firstNames: OpenBranch | undefined;

  constructor(private readonly snapshot: CheckedSnapshot) {
    this.branch = new OpenBranch(snapshot.repository);
  }

  close(): void {
    this.branch.close();
    this.firstNames?.close();
  }

  /**
   * Looks at the copy of an entry, without following any link on the way. Owners are not compared: a repository that is
   * not root's own cannot carry them, and they are in the metadata.
   * @param found called with what is wrong
   * @returns the copy of a regular file that may be right, as far as can be told without reading it
   */
  check({ path, entry }: ReadEntry, found: (problem: Problem) => void): FoundCopy | undefined {
    if (!hasCopy(entry)) return undefined;
    const report: Report = (kind, expected, actual) => found(problem(kind, this.snapshot.name, dataPath(path), expected, actual));
    try {
      return this.compare(path, entry, report);
    } catch (error) {
      const code = errnoName(error);
      if (code === undefined) throw error;
      report('unreadable', inWords[entry.type], code);
      return undefined;
    }
  }

  /** The copy of an entry. Undefined when it is missing, or when something on the way to it is no directory. */
  find(path: PathBytes, branch = this.branch): FoundCopy | undefined {
    const copyPath = copyOf(this.snapshot.directory, path);
    const { directory } = splitPath(copyPath);
    if (this.missedIn?.equals(Buffer.from(directory)) === true) return undefined;
    try {
      const copy = branch.entry(copyPath);
      const stats = fs.lstatSync(copy, { bigint: true, throwIfNoEntry: false });
      return stats && { path: copy, stats };
    } catch (error) {
      if (!isErrno(error, ...NO_WAY)) throw error;
      this.missedIn = Buffer.from(directory);
      return undefined;
    }
  }

  private findFirst(path: PathBytes): FoundCopy | undefined {
    this.firstNames ??= new OpenBranch(this.snapshot.repository);
    return this.find(path, this.firstNames);
  }

  private compare(path: PathBytes, entry: CopiedEntry, report: Report): FoundCopy | undefined {
    const shared = entry.type === 'file' ? sharedName(entry) : undefined;
    const first = shared === undefined ? undefined : this.findFirst(shared);
    const copy = this.find(path);
    const expected = inWords[entry.type];
    if (copy === undefined) report('missing', expected, 'nothing');
    else if (kindOf(copy.stats) !== expected) report('wrongType', expected, kindOf(copy.stats));
    else if (entry.type === 'file' && copy.stats.size !== BigInt(entry.sizeBytes)) report('damaged', `${entry.sizeBytes} bytes`, `${copy.stats.size} bytes`);
    else {
      const wrong: Wrong = (wanted, actual) => report('wrongMetadata', wanted, actual);
      if (entry.type === 'symlink') compareTarget(entry, copy, wrong);
      // Where the first name is missing or something else, that is said of itself.
      if (first?.stats.isFile() === true && !isSameInode(first.stats, copy.stats)) wrong('a further name of a file', 'a file of its own');
      this.compareMetadata(path, entry, copy, wrong);
      if (entry.type === 'file') return copy;
    }
    return undefined;
  }

  private compareMetadata(path: PathBytes, entry: CopiedEntry, copy: FoundCopy, wrong: Wrong): void {
    // Directories on the way to a source are there for the path's sake.
    if (!isBackedUp(this.snapshot.sources, path)) return;
    const mode = copyMode(entry);
    const actualMode = Number(copy.stats.mode) & 0o7777;
    if (entry.type !== 'symlink' && actualMode !== mode) wrong(`mode ${modeText(mode)}`, `mode ${modeText(actualMode)}`);
    if (String(copy.stats.mtimeNs) !== entry.mtimeNs) wrong(`modified ${timeText(BigInt(entry.mtimeNs))}`, `modified ${timeText(copy.stats.mtimeNs)}`);
  }
}

function compareTarget(entry: SymlinkEntry, copy: FoundCopy, wrong: Wrong): void {
  const target = fs.readlinkSync(copy.path, 'buffer');
  const expected = fromJsonPath(entry.linkTarget);
  if (!target.equals(Buffer.from(expected))) wrong(`a link to ${pathText(expected)}`, `a link to ${pathText(pathOf(target))}`);
}

const NS_PER_MS = 1_000_000n;

/** Of a `Date`. */
const MOST_DATE_MS = 8_640_000_000_000_000n - 1n;

/** To the nanosecond. */
function timeText(timeNs: bigint): string {
  // Beyond what calendars know a count of seconds says as much.
  if (timeNs / NS_PER_MS > MOST_DATE_MS || timeNs / NS_PER_MS < -MOST_DATE_MS) return `${timeNs} ns after 1970`;
  const ms = timeNs / NS_PER_MS - (timeNs % NS_PER_MS < 0n ? 1n : 0n);
  return new Date(Number(ms)).toISOString().replace('Z', `${String(timeNs - ms * NS_PER_MS).padStart(6, '0')}Z`);
}
