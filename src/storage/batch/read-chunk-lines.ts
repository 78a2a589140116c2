import * as fs from 'node:fs';
import { MAX_LINE_BYTES, splitLines } from '../records/lines';
import { openOwnFile, readOwnFile, readRange, withOwnFile, type OwnFile } from '../records/own-file';
import { indexRecord, partEntries } from './chunked-lines';
import { planPath, readDigests, requireDigest, type PlanPart } from './plan-digests';
import { missingInRun } from './open-run';
import type { RunLocation } from './run-directory';
import { alteredRun, digestOf } from './run-proof';

/** The lines of one chunk. */
export interface ChunkLines {
  /** Number of the first one among all lines of the plan. */
  readonly first: number;
  /** Of the files that they are about. */
  readonly sizeBytes: number;
  readonly lines: readonly string[];
  /** Whose lines they are, for whoever finds something wrong in one. */
  readonly path: string;
}

/** Of a hundred million files there is an index of less. */
const indexFile: OwnFile = { side: 'destination', maxBytes: 64 * 1024 * 1024, refuse: alteredRun };
const linesFile: OwnFile = { side: 'destination', maxBytes: 2 ** 40, refuse: alteredRun };

/** Lines of one chunk, of which there are some thousands, hold less. */
const MAX_CHUNK_BYTES = 256 * 1024 * 1024;

/**
 * Reads one chunk of a part of a run's plan by its number, without touching the rest.
 * @throws StorageError `RunAltered` for lines that were not written by the run, errno names
 */
export function readChunkLines(location: RunLocation, chunk: number, part: PlanPart = 'plan'): ChunkLines {
  const index = new PlanIndex(location, part);
  return index.read(chunk);
}

/** All lines of a part, chunk by chunk: each is proved before anything of it is answered. */
export function* readAllLines(location: RunLocation, part: PlanPart): Generator<ChunkLines, undefined> {
  if (part === 'tree' && readDigests(location) === undefined) return yield* unindexedLines(location, part);
  const index = new PlanIndex(location, part);
  for (let chunk = 0; chunk < index.chunks; chunk += 1) yield index.read(chunk);
}

/** Of plans that earlier programs wrote: nothing vouches for them. */
function* unindexedLines(location: RunLocation, part: PlanPart): Generator<ChunkLines, undefined> {
  const path = planPath(location, partEntries(part).lines);
  const { descriptor } = openOwnFile(path, linesFile);
  try {
    for (const { line } of splitLines(descriptor, (why) => alteredRun(path, why))) yield { first: 0, sizeBytes: 0, lines: [line], path };
  } finally {
    fs.closeSync(descriptor);
  }
}

interface IndexedChunk {
  readonly offset: number;
  readonly first: number;
  readonly lines: number;
  readonly sizeBytes: number;
  readonly sha256: string | undefined;
}

class PlanIndex {
  readonly chunks: number;
  private readonly path: string;
  private readonly indexPath: string;
  private readonly data: Buffer;
  private readonly recordBytes: number;
  private readonly isProved: boolean;

  constructor(location: RunLocation, part: PlanPart) {
    const names = partEntries(part);
    this.path = planPath(location, names.lines);
    this.indexPath = planPath(location, names.index);
    const digests = readDigests(location);
    this.isProved = digests !== undefined;
    // Plans of earlier programs have no digests, and shorter records.
    this.recordBytes = this.isProved ? indexRecord.bytes : indexRecord.numbersBytes;
    const data = readOwnFile(this.indexPath, indexFile);
    requireDigest(location, this.indexPath, data, digests?.[part]);
    if (data === undefined) throw missingInRun(location, this.indexPath);
    if (data.length % this.recordBytes !== 0) throw alteredRun(this.indexPath, 'is not built as it should be');
    this.data = data;
    this.chunks = data.length / this.recordBytes;
  }

  read(chunk: number): ChunkLines {
    const record = this.recordOf(chunk);
    const data = withOwnFile(this.path, linesFile, ({ descriptor, sizeBytes }) => {
      const end = chunk + 1 < this.chunks ? this.recordOf(chunk + 1).offset : sizeBytes;
      if (record.offset > end || end > sizeBytes || end - record.offset > MAX_CHUNK_BYTES) throw alteredRun(this.path, `does not agree with its index in chunk ${chunk + 1}`);
      return readRange(descriptor, record.offset, end - record.offset);
    });
    if (record.sha256 !== undefined && digestOf(data) !== record.sha256) throw alteredRun(this.path, `has another digest in chunk ${chunk + 1}`);
    const lines = data.toString('utf8').split('\n');
    // What follows the last line break.
    lines.pop();
    if (lines.length !== record.lines || lines.some((line) => line.length > MAX_LINE_BYTES)) throw alteredRun(this.path, `does not agree with its index in chunk ${chunk + 1}`);
    return { first: record.first, sizeBytes: record.sizeBytes, lines, path: this.path };
  }

  private recordOf(chunk: number): IndexedChunk {
    const { data, recordBytes, isProved } = this;
    const start = chunk * recordBytes;
    if (chunk >= this.chunks) throw alteredRun(this.indexPath, `has no chunk ${chunk + 1}`);
    const [offset = 0, first = 0, lines = 0, sizeBytes = 0] = [0, 8, 16, 24].map((at) => data.readDoubleLE(start + at));
    if (![offset, first, lines, sizeBytes].every((each) => Number.isSafeInteger(each) && each >= 0)) throw alteredRun(this.indexPath, `has a wrong record of chunk ${chunk + 1}`);
    return { offset, first, lines, sizeBytes, sha256: isProved ? data.toString('hex', start + indexRecord.numbersBytes, start + recordBytes) : undefined };
  }
}
