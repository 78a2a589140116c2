import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { PlanPart } from './plan-digests';

/**
 * At most so many files and bytes go into a chunk; a file that is larger makes a chunk of its own. The first chunks are
 * smaller, so that a short list keeps all lanes busy; the later ones are larger, since every chunk costs the server.
 */
export const chunkLimits = { firstFiles: 500, files: 1000, bytes: 256 * 1024 * 1024 } as const;

/** Chunks that a list is cut into at least, while they are not below the smallest size. */
const FEWEST_CHUNKS = 8;

/** Offset of the chunk's first line, number of its first line, lines, bytes of its files: four doubles. Then the digest of its lines. */
export const indexRecord = { numbersBytes: 32, bytes: 64 } as const;

/** Names of a part's lines and of its index. */
export function partEntries(part: PlanPart): { readonly lines: string; readonly index: string } {
  return { lines: `${part}.ndjson`, index: `${part}.index` };
}

/**
 * Writes a plan of one line a file, cut into chunks, and its index, as a stream: memory does not grow with the plan. What
 * a line says is the caller's.
 */
export class ChunkedLinesWriter {
  private readonly plan: number;
  private readonly index: number;
  private readonly indexHash = createHash('sha256');
  private chunkHash = createHash('sha256');
  private readonly open: number[] = [];
  private lines: string[] = [];
  private bufferedBytes = 0;
  private offset = 0;
  private entries = 0;
  private chunk = { offset: 0, first: 0, files: 0, weight: 0, bytes: 0 };
  private chunks = 0;

  /** @param directory this writer's own; nothing of the part is there yet */
  constructor(directory: string, part: PlanPart = 'plan') {
    const { lines, index } = partEntries(part);
    this.plan = fs.openSync(join(directory, lines), 'wx', 0o600);
    this.open.push(this.plan);
    this.index = fs.openSync(join(directory, index), 'wx', 0o600);
    this.open.push(this.index);
  }

  /**
   * @param line without a line break
   * @param sizeBytes of the file that it is about
   * @param weight less than 1 for a file that costs less than a copy: so many more of them go into a chunk
   */
  add(line: string, sizeBytes: number, weight = 1): void {
    if (this.chunk.files > 0 && (this.chunk.weight >= filesOfChunk(this.chunk.first) || this.chunk.bytes + sizeBytes > chunkLimits.bytes)) this.endChunk();
    const text = `${line}\n`;
    this.lines.push(text);
    const length = Buffer.byteLength(text);
    this.offset += length;
    this.bufferedBytes += length;
    this.entries += 1;
    this.chunk.files += 1;
    this.chunk.weight += weight;
    this.chunk.bytes += sizeBytes;
    if (this.bufferedBytes > 1024 * 1024) this.flush();
  }

  /** Syncs both files and answers the number of chunks, and the digest of the index. */
  close(): { readonly chunks: number; readonly sha256: string } {
    if (this.chunk.files > 0) this.endChunk();
    for (const descriptor of [this.plan, this.index]) fs.fsyncSync(descriptor);
    this.abandon();
    return { chunks: this.chunks, sha256: this.indexHash.digest('hex') };
  }

  /** Closes both files, each once: another thread may have its number by then. */
  abandon(): void {
    for (let descriptor = this.open.pop(); descriptor !== undefined; descriptor = this.open.pop()) fs.closeSync(descriptor);
  }

  private endChunk(): void {
    this.flush();
    const { offset, first, files, bytes } = this.chunk;
    const record = Buffer.alloc(indexRecord.bytes);
    [offset, first, files, bytes].forEach((value, position) => record.writeDoubleLE(value, position * 8));
    this.chunkHash.digest().copy(record, indexRecord.numbersBytes);
    this.chunkHash = createHash('sha256');
    this.indexHash.update(record);
    fs.writeSync(this.index, record);
    this.chunks += 1;
    this.chunk = { offset: this.offset, first: this.entries, files: 0, weight: 0, bytes: 0 };
  }

  private flush(): void {
    const data = Buffer.from(this.lines.join(''));
    this.chunkHash.update(data);
    for (let written = 0; written < data.length; ) written += fs.writeSync(this.plan, data, written);
    this.lines = [];
    this.bufferedBytes = 0;
  }
}

/** How many files a chunk may have that begins with the entry of this number. */
function filesOfChunk(first: number): number {
  return Math.min(chunkLimits.files, Math.max(chunkLimits.firstFiles, Math.floor(first / FEWEST_CHUNKS)));
}
