import { randomUUID } from 'node:crypto';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { NativeConnection, Runtime, type ActivityInterceptorsFactory } from '@temporalio/worker';
import { BackupClient } from '../../src/client';
import type { BreakerOptions } from '../../src/core/breaker';
import type { PayloadKeys } from '../../src/keys/payload-keys';
import { createLogger, installRuntime } from '../../src/log';
import { createBackupWorker, resolveRoots } from '../../src/worker';
import { namesBelow } from './names-below';

/** Calls that tests put around activities: before and after the real one, or instead of it. */
export type Around = (step: string, attempt: number, run: () => Promise<unknown>) => Promise<unknown>;

export interface HarnessOptions {
  readonly around?: Around;
  readonly breaker?: Partial<BreakerOptions>;
  /** Without, worker and client believe whatever the server says. */
  readonly payloadKeys?: PayloadKeys;
  /** Of another server than the one that all tests share. */
  readonly address?: string;
  /** Of another harness, to share its queue, folder and state. */
  readonly like?: Harness;
}

/** A real worker with a queue and a folder of its own, on the server that all tests share. */
export interface Harness {
  /** Folder that the worker may read and write; real path. */
  readonly directory: string;
  readonly stateDirectory: string;
  readonly taskQueue: string;
  readonly client: BackupClient;
  readonly temporal: Client;
  /** Path of a file in the folder. */
  path(...names: string[]): string;
  /** Everything below the folder that a backup might have left: its own names. */
  leftovers(): string[];
  /** Ends the worker; the folder stays until `remove`. */
  stop(): Promise<void>;
  remove(): Promise<void>;
}

let runtimeInstalled = false;

export async function startHarness(options: HarnessOptions = {}): Promise<Harness> {
  const log = createLogger((process.env.TEST_LOG_LEVEL as 'info' | undefined) ?? 'silent');
  if (!runtimeInstalled) installRuntime({ log });
  runtimeInstalled = true;
  const directory = options.like?.directory ?? realpathSync(mkdtempSync(join(tmpdir(), 'file-backup-test-')));
  const stateDirectory = options.like?.stateDirectory ?? realpathSync(mkdtempSync(join(tmpdir(), 'file-backup-state-')));
  const taskQueue = options.like?.taskQueue ?? `test-${randomUUID()}`;
  const connection = await NativeConnection.connect({ address: options.address ?? testServerAddress() });
  const namespace = 'default';
  const worker = await createBackupWorker({
    connection,
    namespace,
    taskQueue,
    stateDirectory,
    log,
    roots: resolveRoots([directory], [directory]),
    payloadKeys: options.payloadKeys,
    shutdownGraceMs: 0,
    ...(options.breaker === undefined ? {} : { breaker: options.breaker }),
    interceptors: options.around === undefined ? [] : [interceptorOf(options.around)],
  });
  const running = worker.run();
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      worker.shutdown();
      await running;
      await connection.close();
    })();
    return stopped;
  };
  return {
    directory,
    stateDirectory,
    taskQueue,
    client: new BackupClient({ connection, namespace, taskQueue, payloadKeys: options.payloadKeys }),
    temporal: new Client({ connection, namespace }),
    path: (...names) => join(directory, ...names),
    leftovers: () => namesBelow(directory).filter((name) => name.includes('.file-backup-')),
    stop,
    remove: async () => {
      await stop();
      rmSync(directory, { recursive: true, force: true });
      rmSync(stateDirectory, { recursive: true, force: true });
    },
  };
}

/** Address of the server that jest's global set-up started. */
export function testServerAddress(): string {
  const address = process.env.TEST_TEMPORAL_ADDRESS;
  if (address === undefined) throw new Error('TEST_TEMPORAL_ADDRESS is not set: run the tests with "npm test"');
  return address;
}

function interceptorOf(around: Around): ActivityInterceptorsFactory {
  return ({ info }) => ({ inbound: { execute: (input, next) => around(info.activityType, info.attempt, () => next(input)) } });
}

/** For files that check what the process leaves open. */
export async function shutDownRuntime(): Promise<void> {
  await Runtime.instance().shutdown();
}
