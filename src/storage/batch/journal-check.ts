import { chunksPerSum, sumAt, sumOfTags, type JournalSums } from '../../core/journal-sums';
import { journalPath, readLines } from './journal';
import { missingInRun } from './open-run';
import { runDirectory, runEntries, type RunLocation } from './run-directory';
import { alteredRun } from './run-proof';

/**
 * Compares the journals of a run with what history knows of them, as they come by in the order of their chunks: none was
 * taken away, and none put in the place of a later one of the same chunk. Does nothing where history knows nothing.
 */
export class JournalCheck {
  private readonly unsettled: ReadonlySet<number>;
  private readonly perSum: number;
  private tags: string[] = [];
  private next: number;

  /** @param start the first chunk to come by, the first one of a sum */
  constructor(
    private readonly location: RunLocation,
    private readonly known: JournalSums | undefined,
    chunks: number,
    start = 0,
  ) {
    this.unsettled = new Set(known?.unsettled);
    this.perSum = chunksPerSum(chunks);
    this.next = start;
  }

  /** @param tag of the chunk's journal; undefined when it has none. @throws StorageError `RunAltered` */
  pass(chunk: number, tag: string | undefined): void {
    const { known, location } = this;
    if (known === undefined || location.proof === undefined) return;
    const isSettled = chunk < known.begun && !this.unsettled.has(chunk);
    if (isSettled !== (tag !== undefined) && !this.unsettled.has(chunk)) throw isSettled ? missingInRun(location, journalPath(location, chunk)) : alteredRun(journalPath(location, chunk), 'is of a chunk that was never begun');
    if (isSettled && tag !== undefined) this.tags.push(tag);
    this.next = chunk + 1;
    if (this.next % this.perSum === 0) this.endSum(this.next / this.perSum - 1);
  }

  /** After the last chunk. @throws StorageError `RunAltered` */
  end(): void {
    if (this.known !== undefined && this.location.proof !== undefined && this.next % this.perSum !== 0) this.endSum(Math.floor(this.next / this.perSum));
  }

  private endSum(at: number): void {
    if (this.known === undefined || sumOfTags(this.tags) === sumAt(this.known, at)) {
      this.tags = [];
      return;
    }
    throw alteredRun(`${runDirectory(this.location)}/${runEntries.journal}`, `holds others of chunks ${at * this.perSum + 1} to ${this.next} than the run has written`);
  }
}

/** Some chunks of a run, which follow each other and are all of one sum. */
export interface ChunkRange {
  readonly location: RunLocation;
  readonly first: number;
  readonly end: number;
  /** Of the whole run. */
  readonly chunks: number;
  readonly known: JournalSums;
}

/**
 * Reads and compares the journals of some chunks; answers their tags, so that a step that acts on one by one of them can tell
 * that none was exchanged since.
 * @throws StorageError `RunAltered`
 */
export function checkJournals({ location, first, end, chunks, known }: ChunkRange): (string | null)[] {
  const check = new JournalCheck(location, known, chunks, first);
  const tags = Array.from({ length: end - first }, (_, index) => {
    const tag = readLines(location, first + index)?.tag;
    check.pass(first + index, tag);
    return tag ?? null;
  });
  check.end();
  return tags;
}
