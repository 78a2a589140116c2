/** Where a transfer of many files stood at a moment. */
interface Sample {
  readonly atMs: number;
  readonly files: number;
  readonly sizeBytes: number;
}

export interface Rate {
  readonly bytesPerSecond: number;
  /** Undefined until something has moved. */
  readonly remainingMs: number | undefined;
}

/** A small file costs about as much as so many bytes of a large one. */
const BYTES_A_FILE = 16 * 1024;

/** How much there is to do with so many files of so many bytes: one number, in bytes. */
export function workOf({ files, sizeBytes }: { readonly files: number; readonly sizeBytes: number }): number {
  return sizeBytes + files * BYTES_A_FILE;
}

/** Measures a transfer by what it did lately. Knows no clock: its caller says what time it is. */
export class RateMeter {
  private samples: Sample[] = [];

  /** @param windowMs how long ago still counts */
  constructor(private readonly windowMs: number) {}

  measure(sample: Sample, total: { readonly files: number; readonly sizeBytes: number }): Rate {
    this.samples = [...this.samples.filter(({ atMs }) => atMs > sample.atMs - this.windowMs), sample];
    const [first = sample] = this.samples;
    const elapsedMs = sample.atMs - first.atMs;
    if (elapsedMs <= 0) return { bytesPerSecond: 0, remainingMs: undefined };
    const done = workOf(sample) - workOf(first);
    const remaining = Math.max(0, workOf(total) - workOf(sample));
    return {
      bytesPerSecond: Math.round(Math.max(0, ((sample.sizeBytes - first.sizeBytes) / elapsedMs) * 1000)),
      remainingMs: done > 0 ? Math.round((remaining / done) * elapsedMs) : undefined,
    };
  }
}
