import { hostname } from 'node:os';
import type { AllowedRoots } from '../activities';
import type { BackupClient, RunHandle } from '../client/backup-client';
import type { RequestContext } from '../client/run-requests';
import { ServerPatience } from '../client/server-patience';
import type { RunRequest } from '../client/start-run';
import { localTime } from '../core/local-time';
import { hostTaskQueue, operationTaskQueue } from '../core/names';
import { connectTo } from './connect';
import type { Following } from './following';
import { startOrReplace } from './replace-run';
import { errorText, isTransportError } from './error-lines';
import { LostRunError } from './exit-codes';
import type { ServerOptions } from './options';
import type { Output } from './output';
import { openWorkerSide, startOwnWorker, type OwnWorker } from './own-worker';
import { whoContinues } from './report';
import type { ServerSession } from './server-session';
import { noteServing, type Serving } from './serving';

/** A backup that a command starts and follows to its end. */
export interface Job<Result> {
  readonly operationId: string;
  /** What a worker inside this process may touch: nothing but what stands on the command line. */
  readonly roots: AllowedRoots;
  /** What the run is asked for, as the client sends it. */
  readonly request: (context: RequestContext) => RunRequest;
  readonly start: (client: BackupClient) => Promise<RunHandle<Result>>;
  readonly follow: (following: Following<Result>) => Promise<Result>;
  readonly server: ServerSession;
  readonly output: Output;
  readonly logLevel: ServerOptions['logLevel'];
  /** Whether what else is under way at the same target is to be ended first. */
  readonly replace: boolean;
  /** How long a server that goes away is waited for. */
  readonly serverPatienceMs: number;
  /** Resolves when the person wants to stop. */
  readonly interrupted: Promise<void>;
}

export interface JobEnd<Result> {
  readonly handle: RunHandle<Result>;
  /** Undefined when it was interrupted. */
  readonly result: Result | undefined;
}

/** Does the job with a worker inside this process. */
export async function runHere<Result>(job: Job<Result>): Promise<JobEnd<Result>> {
  const { server, operationId, roots, logLevel } = job;
  const [side, { BackupClient: Client }] = await Promise.all([openWorkerSide(server, logLevel), import('../client/backup-client.js')]);
  const storage = hostTaskQueue(hostname());
  const taskQueue = operationTaskQueue(storage, operationId);
  const { workflowType, workflowId, args: [input] } = job.request({ storage, mayBeRepeated: false });
  const only = { workflowType, workflowId, input };
  const servings: Serving[] = [];
  const serve = (queue: string, operation: string): Promise<OwnWorker> => {
    servings.push(noteServing(server.stateDirectory, operation));
    return startOwnWorker({ ...side, server, taskQueue: queue, roots, only });
  };
  const client = new Client({ connection: side.connection, namespace: server.namespace, taskQueue, storage, payloadKeys: server.payloadKeys });
  const ending = { client, server, workerSide: () => Promise.resolve(side), trustDestination: roots.trustDestinations ?? false };
  const [own, started] = await Promise.allSettled([serve(taskQueue, operationId), startOrReplace(job, ending)]);
  const workers = own.status === 'fulfilled' ? [own.value] : [];
  let isOver = started.status === 'rejected';
  try {
    if (own.status === 'rejected') throw own.reason;
    if (started.status === 'rejected') throw started.reason;
    const handle = started.value;
    // An attached run belongs to an earlier command, whose worker may be gone.
    if (handle.taskQueue !== taskQueue && handle.taskQueue.startsWith(storage)) workers.push(await serve(handle.taskQueue, handle.operationId));
    const result = await followed({ client, connection: side.connection, handle }, job, workers);
    isOver = result !== undefined;
    return { handle, result };
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    // Of an operation that was not started, since an equal one was under way, nobody needs to know.
    servings.forEach((serving, index) => serving.end(isOver || index < servings.length - 1));
    await side.connection.close();
  }
}

/** Lets the workers of a queue do the job: started here, done there. */
export async function runThere<Result>(job: Job<Result>, taskQueue: string): Promise<JobEnd<Result>> {
  const { server } = job;
  const [{ Connection }, { BackupClient: Client }] = await Promise.all([import('@temporalio/client'), import('../client/backup-client.js')]);
  const connection = await connectTo(server, (options) => Connection.connect(options));
  const client = new Client({ connection, namespace: server.namespace, taskQueue, payloadKeys: server.payloadKeys });
  const workerSide = (): never => {
    throw new Error('The workers of a queue are no part of this process');
  };
  const handle = await startOrReplace(job, { client, server, workerSide, trustDestination: false });
  // The connection is left to the end of the process: closed amid a call, this client crashes on its own retry.
  return { handle, result: await followed({ client, connection, handle }, job, [], taskQueue) };
}

type Followed<Result> = Pick<Following<Result>, 'client' | 'connection' | 'handle'>;

async function followed<Result>({ client, connection, handle }: Followed<Result>, job: Job<Result>, workers: readonly OwnWorker[], taskQueue?: string): Promise<Result | undefined> {
  const { output, follow, interrupted, logLevel } = job;
  const { workflowId, runId, operationId, attached, isOutdated } = handle;
  if (output.isJson || attached) output.event('started', { workflowId, runId, operationId, attached }, `Continuing operation ${operationId}, which is under way already`);
  if (isOutdated) output.note(`Operation ${operationId} was reset, and may go by what was done before: it is waited for, and then everything is looked at anew`);
  const attributes = await client.searchAttributes();
  if (!attributes.registered) output.note(`Search attributes could not be registered, so searches and byte totals miss this run: ${attributes.reason}`);
  const left = new AbortController();
  const following: Following<Result> = {
    ...{ client, connection, handle, output, signal: left.signal },
    // Logs on the same terminal would be drawn over.
    isDrawn: process.stderr.isTTY && !output.isJson && logLevel === 'silent',
    patience: patienceOf(job, left.signal),
    foreignQueue: workers.some((worker) => worker.taskQueue === handle.taskQueue) ? undefined : handle.taskQueue,
  };
  const result = follow(following).catch((error: unknown) => {
    // Anything else says what it is: the run need not be unfinished.
    if (!isTransportError(error)) throw error;
    throw new LostRunError(`Operation ${operationId} could not be followed: ${errorText(error)}. It is not finished: ${whoContinues(taskQueue)}.`, { cause: error });
  });
  result.catch(() => undefined);
  const stopped = [interrupted, ...workers.map((worker) => worker.ended)].map((end) => end.then(() => undefined));
  try {
    return await Promise.race([result, ...stopped]);
  } finally {
    // Whatever is said next is not drawn over.
    left.abort();
  }
}

function patienceOf({ server, output, serverPatienceMs }: Pick<Job<unknown>, 'server' | 'output' | 'serverPatienceMs'>, signal: AbortSignal): ServerPatience {
  const address = server.connectionOptions.address ?? '';
  return new ServerPatience({
    limitMs: serverPatienceMs,
    mayComeBack: () => server.mayComeBack(),
    onAway: (untilMs) => output.event('serverAway', { address, waitingUntil: new Date(untilMs).toISOString() }, `The Temporal server at ${address} does not answer; waiting until ${localTime(new Date(untilMs))}`),
    onBack: () => output.event('serverBack', { address }, `The Temporal server at ${address} answers again`),
    signal,
  });
}
