import type * as fs from 'node:fs';

/** Words of a slot: state, device and inode, digest. */
const IDENTITY_WORDS = 4;
const DIGEST_WORDS = 8;
const SLOT_WORDS = 1 + IDENTITY_WORDS + DIGEST_WORDS;
const WORD_BYTES = 4;

/** States of a slot, in order. */
const EMPTY = 0;
const CLAIMED = 1;
const READING = 2;
const READ = 3;
const FAILED = 4;

/** Slots that are tried before a file is read without being remembered. */
const PROBES = 16;
const FEWEST_SLOTS = 1024;
const MOST_SLOTS = 1_048_576;

/** Spreads inodes, which mostly follow each other, over all slots. */
const SPREAD = 0x9e3779b97f4a7c15n;

/** Memory for so many files with several names, within bounds: at most 52 MiB. */
export function inodeMemory(files: number): SharedArrayBuffer {
  const slots = Math.min(MOST_SLOTS, Math.max(FEWEST_SLOTS, files * 2));
  return new SharedArrayBuffer(slots * SLOT_WORDS * WORD_BYTES);
}

/**
 * What the bytes of inodes with several names came to, in memory that the threads of a check share: however many
 * snapshots have a file, it is read once. Of a fixed size; what finds no room is read again.
 */
export class ReadInodes {
  private readonly words: Int32Array;
  private readonly slots: number;

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory);
    this.slots = Math.floor(this.words.length / SLOT_WORDS);
  }

  /**
   * The digest of an inode: as it was found before, by whichever thread, or as `read` finds it now.
   * @throws what `read` throws
   */
  digestOf(stats: fs.BigIntStats, read: () => string): string {
    const identity = new Int32Array(new BigUint64Array([stats.dev, stats.ino]).buffer);
    const start = Number((BigInt.asUintN(64, stats.ino * SPREAD + stats.dev) >> 20n) % BigInt(this.slots));
    for (let probe = 0; probe < PROBES; probe += 1) {
      const slot = ((start + probe) % this.slots) * SLOT_WORDS;
      if (Atomics.compareExchange(this.words, slot, EMPTY, CLAIMED) === EMPTY) return this.readInto(slot, identity, read);
      Atomics.wait(this.words, slot, CLAIMED);
      if (this.isOf(slot, identity)) return this.await(slot) ?? read();
    }
    return read();
  }

  private readInto(slot: number, identity: Int32Array, read: () => string): string {
    this.words.set(identity, slot + 1);
    this.enter(slot, READING);
    try {
      const sha256 = read();
      this.digestBytes(slot).write(sha256, 'hex');
      this.enter(slot, READ);
      return sha256;
    } catch (error) {
      this.enter(slot, FAILED);
      throw error;
    }
  }

  /** Waits for another thread that reads the file. Undefined when it could not. */
  private await(slot: number): string | undefined {
    Atomics.wait(this.words, slot, READING);
    return Atomics.load(this.words, slot) === READ ? this.digestBytes(slot).toString('hex') : undefined;
  }

  private isOf(slot: number, identity: Int32Array): boolean {
    return identity.every((word, index) => this.words[slot + 1 + index] === word);
  }

  private digestBytes(slot: number): Buffer {
    return Buffer.from(this.words.buffer, (slot + 1 + IDENTITY_WORDS) * WORD_BYTES, DIGEST_WORDS * WORD_BYTES);
  }

  private enter(slot: number, state: number): void {
    Atomics.store(this.words, slot, state);
    Atomics.notify(this.words, slot);
  }
}
