import { Option } from '@commander-js/extra-typings';
import type { ZodError } from 'zod';
import { formatBytes, formatDuration, printablePath } from '../../core/format';
import { FileBackupInput, InvalidInputError, parseModel, type FileBackupOutput, type FileBackupRequest } from '../../models';
import { onStopSignal } from '../../worker/stop-signal';
import { backUpFileHere, backUpFileThere, type FileJob, type FileJobEnd } from '../back-up-file';
import { exitCodeHelp, exitCodes, UsageError } from '../exit-codes';
import { serverCommand, wholeNumber } from '../options';
import { createOutput, type Output } from '../output';
import { canonicalFile } from '../paths';
import { openServer, type ServerSession } from '../server-session';

export const fileCommand = serverCommand('file')
  .description('back one file up: copied atomically, verified by reading it back, undone if anything fails')
  .argument('<source>', 'file to read')
  .argument('<target>', 'full path of the copy; missing directories are created')
  .option('--no-atomic', 'write the target in place: no undo, and readers may see half a file')
  .option('--no-verify', 'do not read the copy back')
  .addOption(new Option('--verify-from <where>', 'read the copy back from the device or the page cache').choices(['device', 'cache']).default('device' as const))
  .option('--max-retries <number>', 'retries of each step, 0 to 10', wholeNumber('--max-retries', 0, 10), 3)
  .option('--retry-delay-ms <number>', 'wait before the first retry, 100 to 30000; doubles each time', wholeNumber('--retry-delay-ms', 100, 30_000), 1000)
  .addOption(new Option('--on-circuit-open <action>', 'when the destination failed too often').choices(['wait', 'fail']).default('wait' as const))
  .addOption(new Option('--changed <action>', 'when the source changes while it is read').choices(['fail', 'accept']).default('fail' as const))
  .option('--operation-id <uuid>', 'sent twice, an operation runs once')
  .option('--metadata <key=value>', 'free text for tracing; may be repeated', collectMetadata, {})
  .option('--task-queue <name>', 'let the workers of this queue do it instead of this process')
  .addHelpText('after', exitCodeHelp)
  .action(async (source, target, options) => {
    const output = createOutput(options.json);
    const input = parseInput({
      sourcePath: canonicalFile('Source', source),
      backupPath: canonicalFile('Target', target),
      atomic: options.atomic,
      verifyBackup: options.verify,
      verifyFrom: options.verifyFrom,
      maxRetries: options.maxRetries,
      retryDelayMs: options.retryDelayMs,
      onCircuitOpen: options.onCircuitOpen,
      onSourceChanged: options.changed,
      metadata: options.metadata,
      ...(options.operationId === undefined ? {} : { operationId: options.operationId }),
    });
    const interrupted = new Promise<void>((resolve) => void onStopSignal(() => resolve()));
    const server = await openServer(options, output, preload);
    try {
      const job: FileJob = { input, server, output, logLevel: options.logLevel, interrupted };
      const end = await (options.taskQueue === undefined ? backUpFileHere(job) : backUpFileThere(job, options.taskQueue));
      report(end, server, output, options.taskQueue);
    } finally {
      await server.release();
    }
  });

/** Loading the worker takes about as long as the embedded server takes to come up. What goes wrong shows when it is used. */
function preload(): void {
  import('../../worker/create-worker.js').catch(() => undefined);
}

function collectMetadata(text: string, before: Record<string, string>): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`--metadata must be key=value, not "${text}"`);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

function parseInput(request: FileBackupRequest): FileBackupInput {
  try {
    return parseModel(FileBackupInput, request);
  } catch (error) {
    if (error instanceof InvalidInputError) throw new UsageError(problemsOf(error).join('\nfile-backup: '));
    throw error;
  }
}

/** What the fields of the input are called on the command line. */
const fieldNames: Readonly<Record<string, string>> = { sourcePath: 'source', backupPath: 'target', operationId: '--operation-id', metadata: '--metadata' };

function problemsOf({ cause }: InvalidInputError): string[] {
  return (cause as ZodError).issues.map(({ path: [field = ''], message }) => `${fieldNames[String(field)] ?? String(field)}: ${message}`);
}

function report({ handle, result }: FileJobEnd, server: ServerSession, output: Output, taskQueue: string | undefined): void {
  const { workflowId, runId, operationId } = handle;
  const webUi = server.webUi(handle);
  if (result === undefined) {
    const next = taskQueue === undefined ? 'the same command continues it' : `the workers of ${taskQueue} go on with it`;
    output.event('interrupted', { workflowId, runId, operationId, webUi }, `Interrupted. Operation ${operationId} is not finished: ${next}.`);
    process.exitCode = exitCodes.interrupted;
    return;
  }
  process.exitCode = result.success ? exitCodes.done : exitCodes.failed;
  const text = result.success ? successText(result) : '';
  if (!output.isJson) result.warnings.forEach((warning) => output.note(`Warning: ${printablePath(warning)}`));
  if (result.success || output.isJson) output.result('result', { ...result, workflowId, runId, webUi }, text);
  else output.note(failureText(result));
  if (webUi !== undefined && !output.isJson) output.note(`Web UI: ${webUi}${server.isEmbedded ? '\n        (while a server runs: file-backup server)' : ''}`);
}

function successText(result: FileBackupOutput): string {
  const verified = result.verified ? `verified by reading it back from the ${result.verifiedFrom}` : 'not verified';
  const facts = [formatBytes(result.backupSizeBytes), verified, formatDuration(result.processingTimeMs), ...(result.retryCount > 0 ? [`${result.retryCount} retries`] : [])];
  return [`Backed up ${printablePath(result.sourcePath)}`, `       to ${printablePath(result.backupPath)}`, `          ${facts.join(', ')}`, `          SHA-256 ${result.sha256}`].join('\n');
}

const rollbackTexts: Record<FileBackupOutput['rollback']['status'], string> = {
  notNeeded: 'Nothing had been changed.',
  performed: 'Everything was undone: the target is as it was before.',
  failed: 'Undo did not finish; see above for what is left and where.',
  unsupported: 'It was written in place, so it cannot be undone: look at the target.',
};

function failureText(result: FileBackupOutput): string {
  return `Backup failed: ${result.errorCode}: ${printablePath(result.errorMessage ?? '')}\n${rollbackTexts[result.rollback.status]}`;
}
