import { TransferControl } from '../storage/control';

export type CheckPhase = 'records' | 'files' | 'repair';

/** Where a check stands. */
export interface CheckSample {
  readonly phase: CheckPhase;
  /** Snapshots while records are checked, entries afterwards. */
  readonly done: number;
  readonly total: number;
  /** Bytes of the files that are read, done and in all; what was read for another name counts as done. */
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Really read so far. */
  readonly readBytes: number;
  readonly currentFiles: readonly string[];
}

/** Follows a check: what is finished, and what steps that are under way say of themselves. */
export class CheckProgress {
  private readonly running = new Set<TransferControl>();
  private isCancelled = false;
  private phase: CheckPhase = 'records';
  private total = { count: 0, sizeBytes: 0 };
  private finished = { count: 0, sizeBytes: 0, readBytes: 0 };

  enter(phase: CheckPhase, total: { readonly count: number; readonly sizeBytes: number }): void {
    this.phase = phase;
    this.total = total;
    this.finished = { count: 0, sizeBytes: 0, readBytes: 0 };
  }

  /** Lets a step run with a control of its own, and adds what it came to. */
  async follow<T>(step: (control: TransferControl) => Promise<T>, done: (result: T) => { readonly count: number; readonly sizeBytes: number }): Promise<T> {
    const control = new TransferControl();
    if (this.isCancelled) control.cancel();
    this.running.add(control);
    try {
      const result = await step(control);
      const { count, sizeBytes } = done(result);
      this.finished.count += count;
      this.finished.sizeBytes += sizeBytes;
      this.finished.readBytes += control.movedBytes;
      return result;
    } finally {
      this.running.delete(control);
    }
  }

  /** Asks the steps that are under way to stop, and those to come not to begin. */
  cancel(): void {
    this.isCancelled = true;
    this.running.forEach((control) => control.cancel());
  }

  sample(): CheckSample {
    const running = [...this.running];
    const sum = (of: (control: TransferControl) => number): number => running.reduce((total, control) => total + of(control), 0);
    const movedBytes = sum((control) => control.movedBytes);
    return {
      phase: this.phase,
      done: Math.min(this.total.count, this.finished.count + sum((control) => control.files)),
      total: this.total.count,
      doneBytes: Math.min(this.total.sizeBytes, this.finished.sizeBytes + movedBytes),
      totalBytes: this.total.sizeBytes,
      readBytes: this.finished.readBytes + movedBytes,
      currentFiles: running.map(({ path }) => path).filter((path) => path !== ''),
    };
  }
}
