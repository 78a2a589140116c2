import * as fs from 'node:fs';
import { join } from 'node:path';
import type { FileEntry } from './entry';
import { openSnapshot, readEntries, type OpenSnapshot, type ReadEntry } from './metadata';
import type { Found } from './found';
import { ifHelpful } from './if-helpful';
import { isUnchanged } from './is-unchanged';
import { snapshotEntries } from './snapshot-record';

/** Some 100 MB of memory; those of a larger snapshot are not all found. */
const MOST_FILES = 4_000_000;

/** So many entries are read on before the place of the wanted one is looked up again: those of a directory follow each other. */
const NEAR_ENTRIES = 64;

/**
 * Files of a snapshot that have another path by now, as after a directory or a source was renamed: found by inode, and
 * taken for the same where size and both times agree as well. Reads the snapshot when the first one is looked for that was
 * there, as it is now, when that was written.
 */
export class MovedFiles {
  private snapshot: OpenSnapshot | undefined;
  private readonly writtenNs: bigint;
  private index: InodeIndex | undefined;
  private isUsable = true;
  private cursor: Generator<ReadEntry, undefined> | undefined;
  private current: ReadEntry | undefined;

  constructor(
    private readonly repository: string,
    readonly name: string,
  ) {
    this.writtenNs = fs.lstatSync(this.metadata, { bigint: true, throwIfNoEntry: false })?.ctimeNs ?? 0n;
  }

  find(found: Found): FileEntry | undefined {
    if (found.stats.ctimeNs > this.writtenNs || !this.isUsable) return undefined;
    return ifHelpful(() => this.findIn((this.index ??= this.build()), found), () => {
      this.isUsable = false;
    });
  }

  close(): void {
    this.cursor?.return(undefined);
    this.index = undefined;
  }

  private get metadata(): string {
    return join(this.repository, this.name, snapshotEntries.metadata);
  }

  private build(): InodeIndex {
    this.snapshot ??= openSnapshot(this.repository, this.name);
    const index = new InodeIndex(Math.min(this.snapshot.record.counts.files, MOST_FILES));
    for (const { entry, offset } of this.snapshot.entries()) if (entry.type === 'file' && entry.state !== 'failed') index.add(BigInt(entry.inode), offset);
    return index;
  }

  private findIn(index: InodeIndex, found: Found): FileEntry | undefined {
    for (const offset of index.offsetsOf(found.stats.ino)) {
      const entry = this.entryAt(offset);
      if (entry?.type === 'file' && entry.state !== 'failed' && isUnchanged(entry, found)) return entry;
    }
    return undefined;
  }

  private entryAt(offset: number): ReadEntry['entry'] | undefined {
    for (let step = 0; step < NEAR_ENTRIES && this.current !== undefined && this.current.offset < offset; step += 1) this.current = this.cursor?.next().value;
    if (this.current?.offset !== offset) {
      this.cursor?.return(undefined);
      this.cursor = readEntries(this.metadata, { start: offset, end: Infinity });
      this.current = this.cursor.next().value;
    }
    return this.current?.entry;
  }
}

/** Where the entries of inodes are, in little memory: a table of fixed size, in which who finds his place taken takes the next. */
class InodeIndex {
  private readonly keys: Uint32Array;
  /** One more than the offset; 0 where nothing is. */
  private readonly offsets: Float64Array;
  private readonly mask: number;
  private rest: number;

  constructor(files: number) {
    const places = 2 ** Math.ceil(Math.log2(2 * files + 2));
    this.keys = new Uint32Array(places);
    this.offsets = new Float64Array(places);
    this.mask = places - 1;
    this.rest = files;
  }

  add(inode: bigint, offset: number): void {
    if (this.rest === 0) return;
    this.rest -= 1;
    const key = keyOf(inode);
    let place = key & this.mask;
    while (this.offsets[place] !== 0) place = (place + 1) & this.mask;
    this.keys[place] = key;
    this.offsets[place] = offset + 1;
  }

  /** Of all inodes that look alike. */
  *offsetsOf(inode: bigint): Generator<number> {
    const key = keyOf(inode);
    for (let place = key & this.mask, at = this.offsets[place] ?? 0; at !== 0; place = (place + 1) & this.mask, at = this.offsets[place] ?? 0) if (this.keys[place] === key) yield at - 1;
  }
}

/** Mixed, since inodes follow each other; 32 bits. */
function keyOf(inode: bigint): number {
  return Math.imul(Number(BigInt.asUintN(32, inode ^ (inode >> 32n))), 0x9e3779b1) >>> 0;
}
