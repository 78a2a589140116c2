import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { Around } from './backup-harness';
import { until } from './target-state';

/** Called for each attempt of a step, as the server counts them; `run` is the step itself. */
export type StepScript = (attempt: number, run: () => Promise<unknown>) => Promise<unknown>;

/** Holds steps where a test wants an operator to meet them. */
export class StepHold {
  private readonly scripts = new Map<string, StepScript[]>();
  private readonly held: { readonly step: string; readonly activityId: string; readonly workflowId: string }[] = [];

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

  /** Heartbeats until somebody stops the attempt, and then runs the step, which finds out. */
  readonly untilStopped: StepScript = async (_attempt, run) => {
    const { info, cancellationSignal } = Context.current();
    this.held.push({ step: info.activityType, activityId: info.activityId, workflowId: info.workflowExecution?.workflowId ?? '' });
    while (!cancellationSignal.aborted) {
      Context.current().heartbeat(info.heartbeatDetails);
      await delay(50);
    }
    return run();
  };

  /** The activity that is being held, once it is: the n-th that ever was, counted from 1. */
  async activity(nth = 1): Promise<{ readonly step: string; readonly activityId: string; readonly workflowId: string }> {
    await until(`a step is held for the ${nth}. time`, () => this.held.length >= nth);
    const activity = this.held[nth - 1];
    if (activity === undefined) throw new Error('No step is held');
    return activity;
  }
}
