import { statSync } from 'node:fs';
import { hostname } from 'node:os';
import type { BackupClient, FileBackupHandle } from '../client/backup-client';
import { hostTaskQueue, operationTaskQueue } from '../core/names';
import type { FileBackupInput, FileBackupOutput } from '../models';
import { connectTo } from './connect';
import { followFile } from './file-progress';
import type { ServerOptions } from './options';
import type { Output } from './output';
import { startOwnWorker, type OwnWorker } from './own-worker';
import { nearestDirectory } from './paths';
import type { ServerSession } from './server-session';

export interface FileJob {
  readonly input: FileBackupInput;
  readonly server: ServerSession;
  readonly output: Output;
  readonly logLevel: ServerOptions['logLevel'];
  /** Resolves when the person wants to stop. */
  readonly interrupted: Promise<void>;
}

export interface FileJobEnd {
  readonly handle: FileBackupHandle;
  /** Undefined when it was interrupted. */
  readonly result: FileBackupOutput | undefined;
}

/** Backs a file up with a worker inside this process, which may touch nothing but this file and its target. */
export async function backUpFileHere({ input, server, output, logLevel, interrupted }: FileJob): Promise<FileJobEnd> {
  const [{ NativeConnection }, { createLogger, installRuntime }, { BackupClient: Client }] = await Promise.all([
    import('@temporalio/worker'),
    import('../log.js'),
    import('../client/backup-client.js'),
  ]);
  const log = createLogger(logLevel);
  installRuntime({ log });
  const connection = await connectTo(server, (options) => NativeConnection.connect(options));
  const storage = hostTaskQueue(hostname());
  const taskQueue = operationTaskQueue(storage, input.operationId);
  const roots = { sources: [nearestDirectory(input.sourcePath)], destinations: [nearestDirectory(input.backupPath)] };
  const serve = (queue: string): Promise<OwnWorker> => startOwnWorker({ server, connection, taskQueue: queue, roots, log });
  const client = new Client({ connection, namespace: server.namespace, taskQueue, storage });
  const [own, started] = await Promise.allSettled([serve(taskQueue), client.startBackupFile(input)]);
  const workers = own.status === 'fulfilled' ? [own.value] : [];
  try {
    if (own.status === 'rejected') throw own.reason;
    if (started.status === 'rejected') throw started.reason;
    const handle = started.value;
    // An attached run belongs to an earlier command, whose worker may be gone.
    if (handle.taskQueue !== taskQueue && handle.taskQueue.startsWith(storage)) workers.push(await serve(handle.taskQueue));
    return { handle, result: await followed(client, handle, { input, output, interrupted }, workers) };
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    await connection.close();
  }
}

/** Backs a file up with a worker that runs elsewhere: started here, done there. */
export async function backUpFileThere({ input, server, output, interrupted }: FileJob, taskQueue: string): Promise<FileJobEnd> {
  const [{ Connection }, { BackupClient: Client }] = await Promise.all([import('@temporalio/client'), import('../client/backup-client.js')]);
  const connection = await connectTo(server, (options) => Connection.connect(options));
  const client = new Client({ connection, namespace: server.namespace, taskQueue });
  const handle = await client.startBackupFile(input);
  // The connection is left to the end of the process: closed amid a call, this client crashes on its own retry.
  return { handle, result: await followed(client, handle, { input, output, interrupted }, []) };
}

async function followed(client: BackupClient, handle: FileBackupHandle, job: Pick<FileJob, 'input' | 'output' | 'interrupted'>, workers: readonly OwnWorker[]): Promise<FileBackupOutput | undefined> {
  const { workflowId, runId, operationId, attached } = handle;
  if (job.output.isJson || attached) job.output.event('started', { workflowId, runId, operationId, attached }, `Continuing operation ${operationId}, which is under way already`);
  const attributes = await client.searchAttributes();
  if (!attributes.registered) job.output.note(`Search attributes could not be registered, so searches and byte totals miss this run: ${attributes.reason}`);
  const result = followFile(client, handle, sizeOf(job.input.sourcePath), job.output);
  result.catch(() => undefined);
  const stopped = [job.interrupted, ...workers.map((worker) => worker.ended)].map((end) => end.then(() => undefined));
  return Promise.race([result, ...stopped]);
}

/** For the progress bar alone; whether the file can be backed up is for the worker to say. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
