import { allHandlersFinished, CancellationScope, CancelledFailure, condition } from '@temporalio/workflow';
import { enterPhase, type BatchRun, type RunInput, type RunPlan } from './batch-run';
import type { ChunkJob } from './chunk-job';
import { hasMore, runLanes } from './lanes';

/** What tells one kind of run of many files from another. */
export interface RunSteps<Plan, Output> {
  readonly plan: () => Promise<Plan>;
  readonly jobOf: (plan: Plan) => ChunkJob;
  /** Everything that follows the chunks. */
  readonly finish: (plan: Plan) => Promise<Output>;
  /** After a failure or a cancellation: cleans up, and answers what the run ends with, to be thrown, or `DoneBefore`. */
  readonly end: (error: unknown) => Promise<unknown>;
}

/** What a run ends with of which it turned out, while it was cleaned up, that it had done its work: history did not know. */
export class DoneBefore<Output> {
  constructor(readonly output: Output) {}
}

/**
 * Works a run of many files off: plan → chunks in lanes → finish. Undefined when the next execution has to go on.
 * @throws what `end` answers
 */
export async function workOff<Input extends RunInput, Plan extends RunPlan, Output>(run: BatchRun<Input, Plan>, steps: RunSteps<Plan, Output>): Promise<Output | undefined> {
  const output = await outputOf(run, steps);
  await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
  return output;
}

async function outputOf<Input extends RunInput, Plan extends RunPlan, Output>(run: BatchRun<Input, Plan>, { plan, jobOf, finish, end }: RunSteps<Plan, Output>): Promise<Output | undefined> {
  try {
    run.batch ??= await plan();
    takeInput(run, run.batch);
    enterPhase(run, 'running');
    await runLanes(run, jobOf(run.batch));
    if (!hasMore(run, run.batch)) return await finish(run.batch);
    // The next execution would not know that this one was asked to end.
    if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('Cancelled between two executions');
    return undefined;
  } catch (error) {
    const ended = await end(error);
    if (ended instanceof DoneBefore) return ended.output as Output;
    throw ended;
  }
}

/** From here on with every default filled in: whoever started the workflow may have left them out. */
function takeInput<Input extends RunInput, Plan extends RunPlan>(run: BatchRun<Input, Plan>, { input }: Plan): void {
  run.input = { ...run.input, ...input };
  run.lanes ||= run.input.lanes;
}
