import type { PathBytes } from '../path-bytes';

/**
 * Remembers numbers under paths in two flat arrays: a million take about 32 MB, where a Map of strings takes several
 * times that. Only a 53-bit hash of each path is kept, so an answer is a guess that the caller checks.
 */
export class SeenPaths {
  private hashes: Float64Array;
  private values: Float64Array;
  private count = 0;

  constructor(expected = 1024) {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(1024, expected * 2)));
    this.hashes = new Float64Array(capacity);
    this.values = new Float64Array(capacity);
  }

  /** The number under the path, or undefined. */
  get(path: PathBytes): number | undefined {
    const hash = hashOf(path);
    const slot = this.slotOf(hash);
    return this.hashes[slot] === hash ? this.values[slot] : undefined;
  }

  /** Keeps the first number under a path, and answers it when there was one. */
  add(path: PathBytes, value: number): number | undefined {
    if (this.count * 2 >= this.hashes.length) this.grow();
    const hash = hashOf(path);
    const slot = this.slotOf(hash);
    if (this.hashes[slot] === hash) return this.values[slot];
    this.hashes[slot] = hash;
    this.values[slot] = value;
    this.count += 1;
    return undefined;
  }

  private slotOf(hash: number): number {
    const mask = this.hashes.length - 1;
    let slot = hash % this.hashes.length;
    while (this.hashes[slot] !== 0 && this.hashes[slot] !== hash) slot = (slot + 1) & mask;
    return slot;
  }

  private grow(): void {
    const { hashes, values } = this;
    this.hashes = new Float64Array(hashes.length * 2);
    this.values = new Float64Array(hashes.length * 2);
    for (const [index, hash] of hashes.entries()) {
      if (hash === 0) continue;
      const slot = this.slotOf(hash);
      this.hashes[slot] = hash;
      this.values[slot] = values[index] ?? 0;
    }
  }
}

/** cyrb53 by bryc (public domain), over characters or bytes; never 0, which marks an empty slot. */
function hashOf(path: PathBytes): number {
  let h1 = 0xdeadbeef;
  let h2 = 0x41c6ce57;
  for (let index = 0; index < path.length; index += 1) {
    const code = typeof path === 'string' ? path.charCodeAt(index) : (path[index] ?? 0);
    h1 = Math.imul(h1 ^ code, 2654435761);
    h2 = Math.imul(h2 ^ code, 1597334677);
  }
  h1 = Math.imul(h1 ^ (h1 >>> 16), 2246822507) ^ Math.imul(h2 ^ (h2 >>> 13), 3266489909);
  h2 = Math.imul(h2 ^ (h2 >>> 16), 2246822507) ^ Math.imul(h1 ^ (h1 >>> 13), 3266489909);
  return 4294967296 * (2097151 & h2) + (h1 >>> 0) || 1;
}
