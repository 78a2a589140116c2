import type { RunLocation } from '../batch/run-directory';
import type { TransferControl } from '../control';
import { StorageError } from '../errors';
import { bytewise, fromJsonPath, pathText, type PathBytes } from '../path-bytes';
import type { FailedEntry, FileEntry, SnapshotEntry } from './entry';
import { readSnapshotJournal, type SnapshotJournalEntry, type SnapshotOutcome } from './snapshot-journal';
import { readTree, type TreeLine } from './snapshot-plan';
import { putInPlace } from './snapshot-chunk';

/**
 * All entries of a snapshot in their order, from its plan and its chunks' journals, as a stream. Whatever an interrupted
 * attempt left undone of a chunk is done on the way.
 */
export function* snapshotLines(location: RunLocation, chunks: number, control: TransferControl, onChunk: (outcome: SnapshotOutcome) => void): Generator<SnapshotEntry> {
  const links = new LinkedFiles(location);
  const tree = readTree(location);
  let next = tree.next();
  let files = 0;
  const treeUpTo = function* (at: number): Generator<SnapshotEntry> {
    for (; next.done !== true && next.value.at <= at; next = tree.next()) yield treeEntry(next.value, links);
  };
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    control.throwIfCancelled();
    const journal = readSnapshotJournal(location, chunk);
    if (journal === undefined) throw new StorageError('DestinationError', 'destination', location.destination, `The journal of chunk ${chunk + 1} of the run in ${location.destination} is gone`);
    putInPlace(location, journal);
    onChunk(journal.outcome);
    for (const entry of journal.entries) {
      yield* treeUpTo(files);
      files += 1;
      links.note(entry);
      if (entry.state !== 'vanished') yield entry;
    }
    control.moved(1);
  }
  yield* treeUpTo(files);
}

function treeEntry(line: TreeLine, links: LinkedFiles): SnapshotEntry {
  return 'entry' in line ? line.entry : links.further(fromJsonPath(line.name), fromJsonPath(line.first));
}

/** Files that have several names: what is known of the first one is true for the others. */
class LinkedFiles {
  private readonly firsts = new Map<string, SnapshotJournalEntry | undefined>();

  constructor(location: RunLocation) {
    for (const line of readTree(location)) if ('first' in line) this.firsts.set(bytewise(fromJsonPath(line.first)), undefined);
  }

  note(entry: SnapshotJournalEntry): void {
    if (this.firsts.size === 0) return;
    const path = bytewise(fromJsonPath(entry.path));
    if (this.firsts.has(path)) this.firsts.set(path, entry);
  }

  further(path: PathBytes, first: PathBytes): FileEntry | FailedEntry {
    const entry = this.firsts.get(bytewise(first));
    const name = typeof path === 'string' ? path : { base64: path.toString('base64') };
    if (entry?.state === 'copied' || entry?.state === 'unchanged') return { ...entry, path: name, hardLink: entry.path };
    const failure = entry?.state === 'failed' ? entry.failure : { code: 'ENOENT', side: 'source' as const, message: `${pathText(first)}, of which ${pathText(path)} is a further name, was gone when its turn came` };
    return { path: name, type: 'file', state: 'failed', failure };
  }
}
