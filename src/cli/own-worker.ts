import type { NativeConnection } from '@temporalio/worker';
import type { BackupWorker, BackupWorkerOptions } from '../worker/create-worker';
import type { LogLevel } from '../log-levels';
import { connectTo } from './connect';
import type { ServerSession } from './server-session';

/** A running worker in this process and the way to end it. */
export interface OwnWorker {
  readonly taskQueue: string;
  /** Rejects when the worker broke. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** What a worker inside a command needs besides what it serves: one for each process. */
export interface WorkerSide {
  readonly connection: NativeConnection;
  readonly log: BackupWorkerOptions['log'];
}

/** Sets this process up to be a worker. The connection is to be closed. @throws NoTemporalServerError */
export async function openWorkerSide(server: ServerSession, logLevel: LogLevel): Promise<WorkerSide> {
  const [{ NativeConnection }, { createLogger, installRuntime }] = await Promise.all([import('@temporalio/worker'), import('../log.js')]);
  const log = createLogger(logLevel);
  installRuntime({ log });
  return { connection: await connectTo(server, (options) => NativeConnection.connect(options)), log };
}

interface OwnWorkerOptions extends WorkerSide {
  readonly server: ServerSession;
  readonly taskQueue: string;
  readonly roots: BackupWorkerOptions['roots'];
  readonly only: BackupWorkerOptions['only'];
}

/** Steps that are under way when a person presses Ctrl-C are stopped soon: the next worker repeats them. */
const SHUTDOWN_GRACE_MS = 500;

/** Serves one queue from inside the command. */
export async function startOwnWorker({ server, connection, taskQueue, roots, only, log }: OwnWorkerOptions): Promise<OwnWorker> {
  const { createBackupWorker } = await import('../worker/create-worker.js');
  const { namespace, stateDirectory, payloadKeys } = server;
  const worker: BackupWorker = await createBackupWorker({ connection, namespace, taskQueue, roots, only, stateDirectory, payloadKeys, log, shutdownGraceMs: SHUTDOWN_GRACE_MS, workflowsOnMainThread: true });
  const ended = worker.run();
  ended.catch(() => undefined);
  return {
    taskQueue,
    ended,
    stop: () => {
      if (worker.worker.getState() === 'RUNNING') worker.shutdown();
      return ended;
    },
  };
}

/** Loading the worker takes about as long as the embedded server takes to come up. What goes wrong shows when it is used. */
export function preloadWorker(): void {
  import('../worker/create-worker.js').catch(() => undefined);
}
