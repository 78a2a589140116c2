import type { JournalSums } from '../../../core/journal-sums';
import type { JournalEntry } from '../../batch/chunk';
import { readChunkLines } from '../../batch/read-chunk-lines';
import { parseLines, readLines } from '../../batch/journal';
import { JournalCheck } from '../../batch/journal-check';
import type { RunLocation } from '../../batch/run-directory';
import type { TransferControl } from '../../control';
import { fromJsonPath, type PathBytes } from '../../path-bytes';
import { orderKey } from '../entry-order';
import type { Overwrite } from './request';
import type { TreeItem } from './restore-item';
import type { RestoreTally } from './restore-tally';

/** Names that others are to be linked to, with the digest of what this run restored there. */
export class FirstNames {
  private readonly digests = new Map<string, string | undefined>();
  private readonly fresh = new Map<string, PathBytes>();

  constructor(items: Iterable<TreeItem>) {
    for (const item of items) if (item.type === 'hardLink') this.digests.set(orderKey(item.first), undefined);
  }

  get size(): number {
    return this.digests.size;
  }

  note({ source, sha256 }: JournalEntry): void {
    const key = orderKey(fromJsonPath(source));
    if (this.digests.has(key)) this.digests.set(key, sha256);
  }

  /** A file that takes no more names: those to come are linked to the copy at another path, which this run has made. */
  replace(path: PathBytes, fresh: PathBytes): void {
    this.fresh.set(orderKey(path), fresh);
  }

  /** Where the file is that further names of this one are linked to. */
  latest(path: PathBytes): PathBytes {
    return this.fresh.get(orderKey(path)) ?? path;
  }

  /** Only files of this very run: a repository could name any file as the first name of another. */
  digestOf(path: PathBytes): string | undefined {
    return this.digests.get(orderKey(path));
  }
}

/** Adds up what became of the files in chunks. @throws StorageError `RunAltered` for journals that are not the run's */
export function countFiles({ location, chunks, overwrite, known }: { readonly location: RunLocation; readonly chunks: number; readonly overwrite: Overwrite; readonly known: JournalSums | undefined }, firstNames: FirstNames, tally: RestoreTally, control: TransferControl): void {
  const check = new JournalCheck(location, known, chunks);
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    control.throwIfCancelled();
    const journal = readLines(location, chunk);
    check.pass(chunk, journal?.tag);
    if (journal === undefined) {
      tally.skipMany(readChunkLines(location, chunk).lines.length, 'cancelled');
      continue;
    }
    const { counts, sizeBytes, unchangedBytes, verifiedFrom } = journal.outcome;
    tally.restored(counts.backedUp, sizeBytes);
    if (overwrite === 'never') tally.skipMany(counts.unchanged, 'exists');
    else tally.unchanged(counts.unchanged, unchangedBytes);
    if (counts.backedUp > 0) tally.verified(verifiedFrom);
    if (counts.failed > 0 || firstNames.size > 0) for (const entry of parseLines(journal)) noteFile(entry, overwrite, firstNames, tally);
  }
  check.end();
}

function noteFile(entry: JournalEntry, overwrite: Overwrite, firstNames: FirstNames, tally: RestoreTally): void {
  if (entry.state === 'failed') tally.fail(fromJsonPath(entry.source), entry.failure ?? { code: 'UnexpectedError', side: 'destination', message: '' });
  else if (entry.state === 'backedUp' || overwrite !== 'never') firstNames.note(entry);
}
