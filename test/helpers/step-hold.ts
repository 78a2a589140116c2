import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { Around } from './backup-harness';
import { until } from './target-state';

/** Called for each attempt of a step, as the server counts them; `run` is the step itself. */
export type StepScript = (attempt: number, run: () => Promise<unknown>) => Promise<unknown>;

/** A step that is, or was, held. */
interface Held {
  readonly step: string;
  readonly activityId: string;
  readonly workflowId: string;
  isFree: boolean;
}

/** Holds steps where a test wants an operator to meet them. */
export class StepHold {
  private readonly scripts = new Map<string, StepScript[]>();
  private readonly held: Held[] = [];

  /** For `startHarness`. */
  readonly around: Around = (step, attempt, run) => {
    const script = this.scripts.get(step)?.shift();
    return script === undefined ? run() : script(attempt, run);
  };

  /** What the next attempts at a step do, one after the other; later ones just run. */
  next(step: string, ...scripts: readonly StepScript[]): void {
    this.scripts.set(step, [...(this.scripts.get(step) ?? []), ...scripts]);
  }

  /** Forgets what further attempts at a step were to do. @returns how many they were */
  clear(step: string): number {
    const { length } = this.scripts.get(step) ?? [];
    this.scripts.delete(step);
    return length;
  }

  /** Heartbeats until somebody stops the attempt, or the test releases it, and then runs the step. */
  readonly untilStopped: StepScript = async (_attempt, run) => {
    await this.wait();
    return run();
  };

  /** Heartbeats until somebody stops the attempt, or the test releases it. */
  async wait(): Promise<void> {
    const { info, cancellationSignal } = Context.current();
    const held: Held = { step: info.activityType, activityId: info.activityId, workflowId: info.workflowExecution?.workflowId ?? '', isFree: false };
    this.held.push(held);
    while (!cancellationSignal.aborted && !held.isFree) {
      Context.current().heartbeat(info.heartbeatDetails);
      await delay(50);
    }
    held.isFree = true;
  }

  /** Lets all that is held go on. */
  release(): void {
    for (const held of this.held) held.isFree = true;
  }

  /** Whether nothing is held. */
  isFree(): boolean {
    return this.held.every(({ isFree }) => isFree);
  }

  /** The activity that is being held, once it is: the n-th that ever was, counted from 1. */
  async activity(nth = 1): Promise<Readonly<Held>> {
    await until(`a step is held for the ${nth}. time`, () => this.held.length >= nth);
    const activity = this.held[nth - 1];
    if (activity === undefined) throw new Error('No step is held');
    return activity;
  }
}
