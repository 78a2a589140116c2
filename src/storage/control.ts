import { StorageError } from './errors';

/** What a transfer is doing: reads and writes must move bytes, a sync may be silent for minutes. */
export type Phase = 'idle' | 'transfer' | 'sync';

const phases: readonly Phase[] = ['idle', 'transfer', 'sync'];
const CANCELLED = 0;
const PHASE = 1;
const SYNCS_ASKED = 2;
/** Number of the last sync that was answered; negative when it failed. */
const SYNCS_ANSWERED = 3;
const WORDS_BYTES = 16;

/** Part of every Node, but not yet of TypeScript's library. */
interface WaitAsync {
  waitAsync(words: Int32Array, index: number, value: number): { readonly async: false } | { readonly async: true; readonly value: Promise<unknown> };
}

/**
 * Progress and cancellation of one step, in memory that is shared between the thread that copies and the one that
 * heartbeats: a thread inside synchronous file calls can receive no message.
 */
export class TransferControl {
  private readonly words: Int32Array;
  private readonly counter: BigInt64Array;

  constructor(readonly memory = new SharedArrayBuffer(WORDS_BYTES + 8)) {
    this.words = new Int32Array(memory, 0, WORDS_BYTES / 4);
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

  /**
   * In the thread: waits until the file system was synced on its behalf, together with what other threads ask for.
   * False when that failed.
   */
  awaitSync(): boolean {
    this.enter('sync');
    const number = Atomics.add(this.words, SYNCS_ASKED, 1) + 1;
    Atomics.notify(this.words, SYNCS_ASKED);
    for (;;) {
      const answered = Atomics.load(this.words, SYNCS_ANSWERED);
      if (Math.abs(answered) === number) {
        this.enter('idle');
        return answered > 0;
      }
      Atomics.wait(this.words, SYNCS_ANSWERED, answered);
    }
  }

  /** On the other side: performs the syncs that the thread waits for, until its step is over, however that ends. */
  async serveSyncs(sync: () => Promise<void>, step: Promise<unknown>): Promise<void> {
    let isOver = false;
    const end = (): void => {
      isOver = true;
      Atomics.notify(this.words, SYNCS_ASKED);
    };
    step.then(end, end);
    for (let answered = 0; ; answered += 1) {
      const asked = (Atomics as unknown as WaitAsync).waitAsync(this.words, SYNCS_ASKED, answered);
      if (asked.async) await asked.value;
      if (isOver) return;
      const succeeded = await sync().then(
        () => true,
        () => false,
      );
      Atomics.store(this.words, SYNCS_ANSWERED, succeeded ? answered + 1 : -answered - 1);
      Atomics.notify(this.words, SYNCS_ANSWERED);
    }
  }
}
