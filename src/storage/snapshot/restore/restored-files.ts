import * as fs from 'node:fs';
import type { JournalEntry } from '../../batch/chunk';
import { readChunkLines } from '../../batch/chunked-lines';
import { parseLines, readLines } from '../../batch/journal';
import { splitLines } from '../../batch/lines';
import type { RunLocation } from '../../batch/run-directory';
import type { TransferControl } from '../../control';
import { fromJsonPath, type PathBytes } from '../../path-bytes';
import { orderKey } from '../entry-order';
import { treePath } from './plan-restore';
import type { Overwrite } from './request';
import { parseItem, type TreeItem } from './restore-item';
import type { RestoreTally } from './restore-tally';

/** What was planned beside the files, in the snapshot's order. */
export function* treeItems(location: RunLocation): Generator<TreeItem> {
  const descriptor = fs.openSync(treePath(location), 'r');
  try {
    for (const { line } of splitLines(descriptor)) yield parseItem(line) as TreeItem;
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Names that others are to be linked to, with the digest of what this run restored there. */
export class FirstNames {
  private readonly digests = new Map<string, string | undefined>();

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

  /** Only files of this very run: a repository could name any file as the first name of another. */
  digestOf(path: PathBytes): string | undefined {
    return this.digests.get(orderKey(path));
  }
}

/** Adds up what became of the files in chunks. */
export function countFiles({ location, chunks, overwrite }: { readonly location: RunLocation; readonly chunks: number; readonly overwrite: Overwrite }, firstNames: FirstNames, tally: RestoreTally, control: TransferControl): void {
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    control.throwIfCancelled();
    const journal = readLines(location, chunk);
    if (journal === undefined) {
      tally.skipMany(readChunkLines(location, chunk).lines.length, 'cancelled');
      continue;
    }
    const { counts, sizeBytes, unchangedBytes, verifiedFrom } = journal.outcome;
    tally.restored(counts.backedUp, sizeBytes);
    if (overwrite === 'never') tally.skipMany(counts.unchanged, 'exists');
    else tally.unchanged(counts.unchanged, unchangedBytes);
    if (counts.backedUp > 0) tally.verified(verifiedFrom);
    if (counts.failed > 0 || firstNames.size > 0) for (const entry of parseLines(journal.lines)) noteFile(entry, overwrite, firstNames, tally);
  }
}

function noteFile(entry: JournalEntry, overwrite: Overwrite, firstNames: FirstNames, tally: RestoreTally): void {
  if (entry.state === 'failed') tally.fail(fromJsonPath(entry.source), entry.failure ?? { code: 'UnexpectedError', side: 'destination', message: '' });
  else if (entry.state === 'backedUp' || overwrite !== 'never') firstNames.note(entry);
}
