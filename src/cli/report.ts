import type { StartedRun } from '../client/start-run';
import type { FailureType } from '../failures';
import { exitCodes } from './exit-codes';
import type { Output } from './output';
import type { ServerSession } from './server-session';

/** Says who continues a run that a person has left, and sets the exit code. */
export function reportInterrupted({ workflowId, runId, operationId }: StartedRun, server: ServerSession, output: Output, taskQueue: string | undefined): void {
  const text = `Interrupted. Operation ${operationId} is not finished: ${whoContinues(taskQueue)}.`;
  output.event('interrupted', { workflowId, runId, operationId, errorCode: 'Interrupted' satisfies FailureType, errorMessage: text, webUi: server.webUi({ workflowId, runId }) }, text);
  process.exitCode = exitCodes.interrupted;
}

/** In words, after "it is not finished". */
export function whoContinues(taskQueue: string | undefined): string {
  return taskQueue === undefined ? 'the same command continues it' : `the workers of ${taskQueue} go on with it`;
}

/** Where a person can look at the run. */
export function reportWebUi(run: StartedRun, server: ServerSession, output: Output): void {
  const webUi = server.webUi(run);
  if (webUi !== undefined && !output.isJson) output.note([`Web UI: ${webUi}`, ...(server.isEmbedded ? ['        (while a server runs: file-backup server)'] : [])]);
}
