import { resolve } from 'node:path';
import { Piscina } from 'piscina';
import { TransferControl } from '../storage/control';
import type { StepInput, StepName, StepResult } from '../storage/steps';
import type { StepAnswer, StepTask } from '../storage/thread';
import { StepFailed } from './step-failed';

/** Threads are plain JavaScript whatever loads this file, and one file, since every thread loads it anew. */
const THREAD_FILE = resolve(__dirname, '../../lib/thread-bundle.js');

/** A thread compiles its code anew: those of a batch are kept for the next one. */
const IDLE_MS = 300_000;

/** V8 lets each thread take several times as much for objects that live for a moment. */
const YOUNG_GENERATION_MIB = 2;

/** With the usual limit of gigabytes V8 lets garbage lie for long. */
const OLD_GENERATION_MIB = 128;

/**
 * Threads for storage functions. File calls there are synchronous: several times faster than promises in Node, and a
 * stuck file system holds up one thread, not the worker.
 */
export class ThreadPool {
  private readonly pool: Piscina<StepTask, StepAnswer>;

  private readonly trustDestinations: boolean;

  /**
   * @param size threads at most; one is started at once, the others when they are needed
   * @param trust whether destinations are accepted in which other users can replace what is written
   */
  constructor(size: number, { trustDestinations }: { readonly trustDestinations?: boolean } = {}) {
    this.trustDestinations = trustDestinations === true;
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB, maxOldGenerationSizeMb: OLD_GENERATION_MIB };
    this.pool = new Piscina({ filename: THREAD_FILE, minThreads: 1, maxThreads: size, idleTimeout: IDLE_MS, resourceLimits });
  }

  /**
   * @param sync makes what the step wrote durable, as often as it asks for that
   * @throws StepFailed with what the storage function threw
   */
  async run<Name extends StepName>(step: Name, input: StepInput<Name>, control = new TransferControl(), sync?: () => Promise<void>): Promise<StepResult<Name>> {
    const running = this.pool.run({ step, input, memory: control.memory, trustDestinations: this.trustDestinations });
    if (sync !== undefined) void control.serveSyncs(sync, running);
    const answer = await running;
    if (!answer.ok) throw new StepFailed(answer.error);
    return answer.result as StepResult<Name>;
  }

  async close(): Promise<void> {
    await this.pool.destroy();
  }
}
