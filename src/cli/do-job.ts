import { onStopSignal } from '../worker/stop-signal';
import { UsageError, type ExitCode } from './exit-codes';
import { runHere, runThere, type Job } from './job';
import type { ServerOptions } from './options';
import type { Output } from './output';
import { preloadWorker } from './own-worker';
import { reportInterrupted, reportWebUi } from './report';
import { openServer } from './server-session';

/** What a command does, and how it says what came of it. */
export interface CommandJob<Result> extends Pick<Job<Result>, 'operationId' | 'roots' | 'request' | 'start' | 'follow'> {
  readonly exitCode: (result: Result) => ExitCode;
  /** For standard output; null where there is nothing but notes. */
  readonly text: (result: Result) => readonly string[] | null;
  /** For standard error, after the result. */
  readonly notes: (result: Result) => readonly string[];
}

/**
 * Does the job of a command, with a worker inside this process unless a queue is named, and reports how it ended.
 * @returns true when it came to its end, false when it was interrupted
 */
export async function doJob<Result extends object>(job: CommandJob<Result>, options: ServerOptions & { readonly taskQueue?: string; readonly replace: boolean; readonly serverPatience: number }, output: Output): Promise<boolean> {
  const { taskQueue, logLevel, replace, serverPatience: serverPatienceMs } = options;
  if (taskQueue !== undefined && job.roots.trustDestinations) throw new UsageError('--trust-destination is for the operator of the workers to say: start them with it');
  const interrupted = new Promise<void>((resolve) => void onStopSignal(() => resolve()));
  const server = await openServer(options, output, preloadWorker);
  try {
    const running: Job<Result> = { ...job, server, output, logLevel, replace, serverPatienceMs, interrupted };
    const { handle, result } = await (taskQueue === undefined ? runHere(running) : runThere(running, taskQueue));
    if (result === undefined) {
      reportInterrupted(handle, server, output, taskQueue);
      return false;
    }
    const { workflowId, runId } = handle;
    process.exitCode = job.exitCode(result);
    const text = job.text(result);
    if (text !== null || output.isJson) output.result('result', { ...result, workflowId, runId, webUi: server.webUi(handle) }, text ?? []);
    if (!output.isJson) output.note(job.notes(result));
    reportWebUi(handle, server, output);
    return true;
  } finally {
    await server.release();
  }
}
