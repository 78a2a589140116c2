import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import { failure } from '../failures';
import { TransferControl } from '../storage/control';
import type { StepInput, StepName, StepResult } from '../storage/steps';
import { attemptsSoFar, noteFailed, noteUnderWay, type AttemptNote } from './attempts';
import { StepFailed, toFailure } from './step-failed';
import type { ThreadPool } from './thread-pool';

/** Often enough for a cancellation to arrive within about a second; the SDK throttles what is too often. */
const HEARTBEAT_INTERVAL_MS = 500;

/** No byte moved for so long in a read or write: slower than any disk, network or tape that still works. */
const STALL_TIMEOUT_MS = 120_000;

/** Runs storage functions in threads, one after the other, under one control. */
export type RunInThread = <Name extends StepName>(step: Name, input: StepInput<Name>, sync?: () => Promise<void>) => Promise<StepResult<Name>>;

/** Runs one storage function on behalf of the current activity; see `runSteps`. */
export async function runStep<Name extends StepName>(pool: ThreadPool, step: Name, input: StepInput<Name>): Promise<StepResult<Name>> {
  return runSteps(pool, (run) => run(step, input));
}

/**
 * Runs storage functions in threads on behalf of the current activity: heartbeats while they make progress, passes a
 * cancellation on and waits until the thread has stopped, and turns what is thrown into a typed failure.
 */
export async function runSteps<Result>(pool: ThreadPool, calls: (run: RunInThread) => Promise<Result>): Promise<Result> {
  const context = Context.current();
  const control = new TransferControl();
  const stall = watchProgress(context, control);
  const onCancel = (): void => control.cancel();
  context.cancellationSignal.addEventListener('abort', onCancel, { once: true });
  if (context.cancellationSignal.aborted) control.cancel();
  const run: RunInThread = async (step, input, sync) => {
    // Not every function looks by itself, and what begins now may come after undo.
    if (context.cancellationSignal.aborted) return await stopped(context, control);
    return pool.run(step, input, control, sync);
  };
  try {
    return await Promise.race([calls(run), stall.happened]);
  } catch (error) {
    if (error instanceof StepFailed && error.error.code === 'Cancelled') return await stopped(context, control);
    if (error instanceof CancelledFailure || isInterruption(error)) throw error;
    // Travels with the failure: the attempts that follow must know that this one counts.
    context.heartbeat(heartbeatOf(control, noteFailed(context.info)));
    throw error instanceof ApplicationFailure ? error : toFailure(error, attemptsSoFar());
  } finally {
    stall.stop();
    context.cancellationSignal.removeEventListener('abort', onCancel);
  }
}

/** A cancelled run ends its step. A worker that shuts down hands it to the next one, an operator's button to a later attempt. */
async function stopped(context: Context, control: TransferControl): Promise<never> {
  const reason = interruptionOf(context.cancellationDetails);
  if (reason === undefined) return await context.cancelled;
  context.heartbeat(heartbeatOf(control, noteUnderWay(context.info)));
  throw failure('Interrupted', reason, attemptsSoFar());
}

function isInterruption(error: unknown): boolean {
  return error instanceof ApplicationFailure && error.type === 'Interrupted';
}

/** The SDK's own failures for pause and reset would be no ones of the project's table, and nobody would vouch for them. */
function interruptionOf(details: Context['cancellationDetails']): string | undefined {
  if (details === undefined || details.cancelRequested) return undefined;
  if (details.reset) return 'An operator has reset the step';
  if (details.paused) return 'An operator has paused the step';
  return details.workerShutdown ? 'The worker stopped' : undefined;
}

/** What a heartbeat says, and with it everyone who describes the run. */
export interface StepHeartbeat extends AttemptNote {
  readonly movedBytes: number;
  /** Of steps on many files: how many are done with, and the one being worked on. */
  readonly files?: number;
  readonly path?: string;
}

function heartbeatOf({ movedBytes, files, path }: TransferControl, note: AttemptNote): StepHeartbeat {
  return { ...note, movedBytes, ...(files > 0 ? { files } : {}), ...(path === '' ? {} : { path }) };
}

/** Heartbeats from here, since the thread is inside synchronous calls. A sync may be silent for as long as it takes. */
function watchProgress(context: Context, control: TransferControl): { happened: Promise<never>; stop: () => void } {
  const [note, attempts] = [noteUnderWay(context.info), attemptsSoFar(context.info)];
  let stop = (): void => undefined;
  const happened = new Promise<never>((_resolve, reject) => {
    let movedBytes = 0;
    let movedAtMs = performance.now();
    const timer = setInterval(() => {
      context.heartbeat(heartbeatOf(control, note));
      if (control.phase !== 'transfer' || control.movedBytes !== movedBytes) {
        movedBytes = control.movedBytes;
        movedAtMs = performance.now();
      } else if (performance.now() - movedAtMs > STALL_TIMEOUT_MS) {
        // Should the call come back after all, the thread must not go on behind the next attempt's back.
        control.cancel();
        reject(failure('Stalled', `No byte moved for ${STALL_TIMEOUT_MS / 1000} s after ${movedBytes} bytes`, attempts));
      }
    }, HEARTBEAT_INTERVAL_MS);
    stop = () => clearInterval(timer);
  });
  return { happened, stop: () => stop() };
}
