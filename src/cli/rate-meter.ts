/** Where a transfer stood at a moment. */
interface Sample {
  readonly atMs: number;
  readonly sizeBytes: number;
  readonly work: number;
}

/** How fast it goes and how long it will take, over the last so many milliseconds. */
const WINDOW_MS = 15_000;

export interface Rate {
  readonly bytesPerSecond: number;
  /** Undefined until something has moved. */
  readonly remainingMs: number | undefined;
}

/** Measures a transfer by what its last quarter of a minute did. */
export class RateMeter {
  private samples: Sample[] = [];

  /**
   * @param work done so far, in whatever unit the remaining work is given in
   * @param remainingWork what is left to do
   */
  measure(sample: Sample, remainingWork: number): Rate {
    this.samples = [...this.samples.filter(({ atMs }) => atMs > sample.atMs - WINDOW_MS), sample];
    const [first = sample] = this.samples;
    const elapsedMs = sample.atMs - first.atMs;
    if (elapsedMs <= 0) return { bytesPerSecond: 0, remainingMs: undefined };
    const workDone = sample.work - first.work;
    return {
      bytesPerSecond: Math.max(0, ((sample.sizeBytes - first.sizeBytes) / elapsedMs) * 1000),
      remainingMs: workDone > 0 ? (remainingWork / workDone) * elapsedMs : undefined,
    };
  }
}
