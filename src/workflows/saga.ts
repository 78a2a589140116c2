import { CancellationScope, log } from '@temporalio/workflow';
import { failureOf } from './failure-of';

/** What one undo came to. */
export interface UndoStep {
  readonly step: string;
  readonly status: 'performed' | 'failed';
  readonly message: string | null;
}

/** Undo steps of a run, registered before the step that they undo. */
export interface Saga {
  register(step: string, undo: () => Promise<unknown>): void;
  /** True when there is something to undo. */
  readonly isTouched: boolean;
  /** Runs every undo, last registered first, whatever the others do, and whether or not the run was cancelled. */
  undo(): Promise<UndoStep[]>;
}

export function createSaga(): Saga {
  const registered: { step: string; undo: () => Promise<unknown> }[] = [];
  return {
    register: (step, undo) => void registered.unshift({ step, undo }),
    get isTouched() {
      return registered.length > 0;
    },
    undo: () =>
      CancellationScope.nonCancellable(async () => {
        const steps: UndoStep[] = [];
        for (const { step, undo } of registered) steps.push(await tryUndo(step, undo));
        return steps;
      }),
  };
}

async function tryUndo(step: string, undo: () => Promise<unknown>): Promise<UndoStep> {
  try {
    await undo();
    return { step, status: 'performed', message: null };
  } catch (error) {
    const { message } = failureOf(error);
    log.error('Undo failed', { step, error: message });
    return { step, status: 'failed', message };
  }
}
