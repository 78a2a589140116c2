import type { ReadFrom } from '../read-back';
import type { ChunkOutcome, FileState, JournalEntry } from './chunk';

/** Adds a chunk's entries up. */
export function outcomeOf(pass: number, entries: readonly JournalEntry[], verifiedFrom: ReadFrom | null): ChunkOutcome {
  const counts: Record<FileState, number> = { backedUp: 0, unchanged: 0, failed: 0 };
  let [sizeBytes, unchangedBytes] = [0, 0];
  let changed = 0;
  for (const entry of entries) {
    counts[entry.state] += 1;
    if (entry.state === 'backedUp') sizeBytes += entry.sizeBytes;
    if (entry.state === 'unchanged') unchangedBytes += entry.sizeBytes;
    if (entry.changed === true) changed += 1;
  }
  return { pass, counts, sizeBytes, unchangedBytes, changed, verifiedFrom };
}
