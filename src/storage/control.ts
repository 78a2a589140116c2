import { StorageError } from './errors';

/** What a transfer is doing: reads and writes must move bytes, a sync may be silent for minutes. */
export type Phase = 'idle' | 'transfer' | 'sync';

const phases: readonly Phase[] = ['idle', 'transfer', 'sync'];
const CANCELLED = 0;
const PHASE = 1;
const WORDS_BYTES = 8;

/**
 * Progress and cancellation of one step, in memory that is shared between the thread that copies and the one that
 * heartbeats: a thread inside synchronous file calls can receive no message.
 */
export class TransferControl {
  private readonly words: Int32Array;
  private readonly counter: BigInt64Array;

  constructor(readonly memory = new SharedArrayBuffer(WORDS_BYTES + 8)) {
    this.words = new Int32Array(memory, 0, 2);
    this.counter = new BigInt64Array(memory, WORDS_BYTES, 1);
  }

  /** Asks the step to stop at its next check. */
  cancel(): void {
    Atomics.store(this.words, CANCELLED, 1);
  }

  /** @throws StorageError `Cancelled` after `cancel` */
  throwIfCancelled(): void {
    if (Atomics.load(this.words, CANCELLED) === 1) throw new StorageError('Cancelled', 'destination', '', 'The step was cancelled');
  }

  enter(phase: Phase): void {
    Atomics.store(this.words, PHASE, phases.indexOf(phase));
  }

  moved(sizeBytes: number): void {
    Atomics.add(this.counter, 0, BigInt(sizeBytes));
  }

  get phase(): Phase {
    return phases[Atomics.load(this.words, PHASE)] ?? 'idle';
  }

  /** Bytes read so far, over all passes of the step. */
  get movedBytes(): number {
    return Number(Atomics.load(this.counter, 0));
  }
}
