import { resolve } from 'node:path';
import { Worker, type ActivityInterceptorsFactory } from '@temporalio/worker';
import { proofInterceptor } from '../activities';
import { signingConverter } from '../keys/data-converter';
import type { PayloadKeys } from '../keys/payload-keys';
import { onlyRequest, type ServedRequest } from './served-request';
import { createBackupParts, DEFAULT_CONCURRENCY, type BackupPartsOptions } from './backup-parts';

/** Built with the package, never at run time: bundling takes seconds. */
export const WORKFLOW_BUNDLE = resolve(__dirname, '../../lib/workflow-bundle.js');

export interface BackupWorkerOptions extends BackupPartsOptions {
  readonly taskQueue: string;
  /**
   * Keys that requests have to be signed with, and that all answers are signed with. Without any, whoever reaches the
   * server can have this worker do what its roots allow, and can fake its answers.
   */
  readonly payloadKeys?: PayloadKeys;
  /** Serves this request and no other; needs keys. */
  readonly only?: ServedRequest;
  /** Runs workflow code on the main thread: a thread of its own takes a third of a second to start, which a command for one file feels. */
  readonly workflowsOnMainThread?: boolean;
  /** Further activity interceptors, inside the circuit breaker. */
  readonly interceptors?: readonly ActivityInterceptorsFactory[];
  /** How long running steps may take to finish after a shutdown was asked for, in milliseconds. */
  readonly shutdownGraceMs?: number;
}

/** A worker with what it owns: run it once, to its end. */
export interface BackupWorker {
  readonly worker: Worker;
  /** Serves the queue until `shutdown`; sweeps what terminated runs left at the start and every hour. */
  run(): Promise<void>;
  shutdown(): void;
}

/** Creates a worker of backups. The connection stays the caller's. */
export async function createBackupWorker(options: BackupWorkerOptions): Promise<BackupWorker> {
  const { payloadKeys } = options;
  const dataConverter = payloadKeys && signingConverter({ keys: payloadKeys, marksPlain: true, ...(options.only === undefined ? {} : { admit: onlyRequest(options.only) }) });
  if (payloadKeys === undefined) options.log.warn({ taskQueue: options.taskQueue }, 'This worker has no key: whoever reaches the Temporal server can have it read and write below its roots, and can fake its answers');
  const parts = await createBackupParts({ ...options, dataConverter, onlyWorkflowType: options.only?.workflowType });
  const worker = await Worker.create({
    connection: options.connection,
    namespace: options.namespace,
    taskQueue: options.taskQueue,
    workflowBundle: { codePath: WORKFLOW_BUNDLE },
    activities: parts.activities,
    interceptors: { activity: [...(payloadKeys === undefined ? [] : [proofInterceptor(parts)]), parts.interceptor, ...(options.interceptors ?? [])] },
    ...(dataConverter === undefined ? {} : { dataConverter }),
    maxConcurrentActivityTaskExecutions: options.maxConcurrentSteps ?? DEFAULT_CONCURRENCY,
    // Cancellation travels with heartbeats: at the SDK's default throttle it would take most of the heartbeat timeout.
    maxHeartbeatThrottleInterval: '1 s',
    defaultHeartbeatThrottleInterval: '1 s',
    maxCachedWorkflows: 100,
    // The SDK has this switch for debuggers; what it changes is the thread, and that no deadlock is looked for.
    debugMode: options.workflowsOnMainThread ?? false,
    shutdownGraceTime: options.shutdownGraceMs ?? 30_000,
  });
  return { worker, run: () => parts.during(() => worker.run()), shutdown: () => worker.shutdown() };
}
