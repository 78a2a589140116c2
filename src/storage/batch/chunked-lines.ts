import * as fs from 'node:fs';
import { join } from 'node:path';
import { runDirectory, runEntries, type RunLocation } from './run-directory';

/**
 * At most so many files and bytes go into a chunk; a file that is larger makes a chunk of its own. The first chunks are
 * smaller, so that a short list keeps all lanes busy; the later ones are larger, since every chunk costs the server.
 */
export const chunkLimits = { firstFiles: 500, files: 1000, bytes: 256 * 1024 * 1024 } as const;

/** Chunks that a list is cut into at least, while they are not below the smallest size. */
const FEWEST_CHUNKS = 8;

/** Names inside a plan's directory. */
const planEntries = { plan: 'plan.ndjson', index: 'plan.index' } as const;

/** Offset of the chunk's first line, number of its first line, lines, bytes: four doubles. */
const INDEX_RECORD_BYTES = 32;

/**
 * Writes a plan of one line a file, cut into chunks, and its index, as a stream: memory does not grow with the plan. What
 * a line says is the caller's.
 */
export class ChunkedLinesWriter {
  private readonly plan: number;
  private readonly index: number;
  private readonly open: number[] = [];
  private lines: string[] = [];
  private bufferedBytes = 0;
  private offset = 0;
  private entries = 0;
  private chunk = { offset: 0, first: 0, files: 0, weight: 0, bytes: 0 };
  private chunks = 0;

  /** @param directory empty, and this writer's own */
  constructor(directory: string) {
    this.plan = fs.openSync(join(directory, planEntries.plan), 'wx', 0o600);
    this.open.push(this.plan);
    this.index = fs.openSync(join(directory, planEntries.index), 'wx', 0o600);
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

  /** Syncs both files and answers the number of chunks. */
  close(): number {
    if (this.chunk.files > 0) this.endChunk();
    this.flush();
    for (const descriptor of [this.plan, this.index]) fs.fsyncSync(descriptor);
    this.abandon();
    return this.chunks;
  }

  /** Closes both files, each once: another thread may have its number by then. */
  abandon(): void {
    for (let descriptor = this.open.pop(); descriptor !== undefined; descriptor = this.open.pop()) fs.closeSync(descriptor);
  }

  private endChunk(): void {
    const { offset, first, files, bytes } = this.chunk;
    const record = Buffer.alloc(INDEX_RECORD_BYTES);
    [offset, first, files, bytes].forEach((value, position) => record.writeDoubleLE(value, position * 8));
    fs.writeSync(this.index, record);
    this.chunks += 1;
    this.chunk = { offset: this.offset, first: this.entries, files: 0, weight: 0, bytes: 0 };
  }

  private flush(): void {
    const data = Buffer.from(this.lines.join(''));
    for (let written = 0; written < data.length; ) written += fs.writeSync(this.plan, data, written);
    this.lines = [];
    this.bufferedBytes = 0;
  }
}

/** How many files a chunk may have that begins with the entry of this number. */
function filesOfChunk(first: number): number {
  return Math.min(chunkLimits.files, Math.max(chunkLimits.firstFiles, Math.floor(first / FEWEST_CHUNKS)));
}

/** The lines of one chunk. */
export interface ChunkLines {
  /** Number of the first one among all lines of the plan. */
  readonly first: number;
  /** Of the files that they are about. */
  readonly sizeBytes: number;
  readonly lines: readonly string[];
}

/** Reads one chunk of a run's plan by its number, without touching the rest. */
export function readChunkLines(location: RunLocation, chunk: number): ChunkLines {
  const directory = join(runDirectory(location), runEntries.plan);
  const [planPath, indexPath] = [join(directory, planEntries.plan), join(directory, planEntries.index)];
  const [record, next] = readIndex(indexPath, chunk);
  const end = next ?? fs.statSync(planPath).size;
  const data = Buffer.alloc(end - record.offset);
  const descriptor = fs.openSync(planPath, 'r');
  try {
    for (let count = 0; count < data.length; ) {
      const more = fs.readSync(descriptor, data, count, data.length - count, record.offset + count);
      if (more === 0) break;
      count += more;
    }
  } finally {
    fs.closeSync(descriptor);
  }
  const lines = data.toString('utf8').split('\n').filter((line) => line !== '');
  return { first: record.first, sizeBytes: record.bytes, lines };
}

function readIndex(indexPath: string, chunk: number): [{ offset: number; first: number; bytes: number }, number | undefined] {
  const data = Buffer.alloc(INDEX_RECORD_BYTES * 2);
  const descriptor = fs.openSync(indexPath, 'r');
  try {
    const count = fs.readSync(descriptor, data, 0, data.length, chunk * INDEX_RECORD_BYTES);
    const record = { offset: data.readDoubleLE(0), first: data.readDoubleLE(8), bytes: data.readDoubleLE(24) };
    return [record, count > INDEX_RECORD_BYTES ? data.readDoubleLE(INDEX_RECORD_BYTES) : undefined];
  } finally {
    fs.closeSync(descriptor);
  }
}
