import * as fs from 'node:fs';
import { alteredRun } from '../batch/run-proof';
import { isErrno } from '../errors';
import { fromJsonPath, pathText, type PathBytes } from '../path-bytes';
import { dataPath } from './incoming-data';
import { journalEntries, type SnapshotJournal } from './snapshot-journal';

/** Directories whose names are kept at a time: files come by in the order of their paths. */
const MOST_DIRECTORIES = 16;

/**
 * Looks, before anything is published, whether every file that a journal names is in its place: a record must not say of a
 * snapshot what is not in it, whoever took it away, a disk that has lost what it was told to keep among them. A directory
 * is read once for all files in it, since a look at each of them would cost as much as all else that the end does.
 */
export class PlacedFiles {
  private readonly names = new Map<string, ReadonlySet<string>>();

  /** @param data directory of the copies */
  constructor(private readonly data: string) {}

  /** @throws StorageError `RunAltered`, errno names */
  require(journal: SnapshotJournal): void {
    for (const path of pathsOf(journal)) if (!this.isThere(path)) throw alteredRun(pathText(dataPath(this.data, path)), 'is missing');
  }

  private isThere(path: PathBytes): boolean {
    if (typeof path !== 'string') return fs.lstatSync(dataPath(this.data, path), { throwIfNoEntry: false }) !== undefined;
    const at = path.lastIndexOf('/');
    return this.namesIn(path.slice(0, at)).has(path.slice(at + 1));
  }

  private namesIn(directory: string): ReadonlySet<string> {
    const known = this.names.get(directory);
    const names = known ?? new Set(readNames(`${this.data}${directory}`));
    // The last one in the map is the one that was asked for last.
    this.names.delete(directory);
    this.names.set(directory, names);
    const [oldest] = this.names.keys();
    if (this.names.size > MOST_DIRECTORIES && oldest !== undefined) this.names.delete(oldest);
    return names;
  }
}

function readNames(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Of the files that are in the snapshot. Parsed only where that is needed, since lines are many. */
function pathsOf(journal: SnapshotJournal): readonly PathBytes[] {
  const { counts, vanished } = journal.outcome;
  const plain = counts.failed === 0 && vanished === 0 ? plainPaths(journal.lines) : undefined;
  return plain ?? journalEntries(journal).flatMap(({ path, state }) => (state === 'copied' || state === 'unchanged' ? [fromJsonPath(path)] : []));
}

const BEGIN = '{"path":"';

/** Of lines that begin with a path in which nothing is escaped; undefined when one does not. */
function plainPaths(lines: Buffer): string[] | undefined {
  const paths = lines.toString('utf8').split('\n').slice(0, -1).map((line) => (line.startsWith(BEGIN) ? line.slice(BEGIN.length, line.indexOf('"', BEGIN.length)) : '\\'));
  return paths.some((path) => path.includes('\\')) ? undefined : paths;
}
