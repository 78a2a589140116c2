import { StorageError } from './errors';

/** What a transfer is doing: reads and writes must move bytes, a sync may be silent for minutes. */
export type Phase = 'idle' | 'transfer' | 'sync';

const phases: readonly Phase[] = ['idle', 'transfer', 'sync'];

/** Places in the shared words. */
const CANCELLED = 0;
const PHASE = 1;
const FILES = 2;
/** Odd while the path is being written. */
const PATH_VERSION = 3;
const PATH_LENGTH = 4;
const SYNCS_ASKED = 5;
/** Number of the last sync that was answered; negative when it failed. */
const SYNCS_ANSWERED = 6;
const WORDS_BYTES = 32;
const COUNTER_BYTES = 8;
/** The end of a path says which file it is. */
const PATH_BYTES = 512;

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
  private readonly pathBytes: Buffer;

  constructor(readonly memory = new SharedArrayBuffer(WORDS_BYTES + COUNTER_BYTES + PATH_BYTES)) {
    this.words = new Int32Array(memory, 0, WORDS_BYTES / 4);
    this.counter = new BigInt64Array(memory, WORDS_BYTES, 1);
    this.pathBytes = Buffer.from(memory, WORDS_BYTES + COUNTER_BYTES, PATH_BYTES);
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

  /** Says which file of many is being worked on; of a long path the end. */
  startFile(path: string): void {
    Atomics.add(this.words, PATH_VERSION, 1);
    const tail = path.length <= PATH_BYTES / 4 ? path : `…${path.slice(1 - PATH_BYTES / 4)}`;
    Atomics.store(this.words, PATH_LENGTH, this.pathBytes.write(tail));
    Atomics.add(this.words, PATH_VERSION, 1);
  }

  finishFile(): void {
    Atomics.add(this.words, FILES, 1);
  }

  get phase(): Phase {
    return phases[Atomics.load(this.words, PHASE)] ?? 'idle';
  }

  /** Bytes read so far, over all passes of the step. */
  get movedBytes(): number {
    return Number(Atomics.load(this.counter, 0));
  }

  /** Files of many that are done with. */
  get files(): number {
    return Atomics.load(this.words, FILES);
  }

  /** The file being worked on, empty when there is none or when it is just changing. */
  get path(): string {
    const version = Atomics.load(this.words, PATH_VERSION);
    const path = this.pathBytes.toString('utf8', 0, Atomics.load(this.words, PATH_LENGTH));
    return version % 2 === 0 && Atomics.load(this.words, PATH_VERSION) === version ? path : '';
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
