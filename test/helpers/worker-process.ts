import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { BackupClient } from '../../src/client';
import { testServerAddress, type Harness } from './backup-harness';
import { until } from './target-state';
import { namesBelow } from './names-below';

const COMMAND = resolve(__dirname, '../../lib/cli/main.js');
const PRELOAD = resolve(__dirname, 'kill-at-step.cjs');

/** Something that goes wrong in a worker process: see kill-at-step.cjs. */
export interface Fault {
  readonly id: string;
  /** Storage function, as in src/storage/steps.ts. */
  readonly step?: string;
  /** Function of node:fs; without it the step as a whole. */
  readonly call?: string;
  /** Counts only calls on paths that contain this. */
  readonly path?: string;
  readonly nth?: number;
  readonly when: 'before' | 'after';
  /** `block`, `kill`, `append` or the name of an error. */
  readonly action: string;
  /** What `append` lets grow. */
  readonly file?: string;
}

export interface WorkerProcessOptions {
  /** What it may read and write. */
  readonly directory: string;
  readonly stateDirectory: string;
  readonly taskQueue: string;
  /** By target path, or the destination of a batch; `main` for those outside the steps' threads. */
  readonly faults?: Readonly<Record<string, readonly Fault[]>>;
  /** Steps, and threads, at a time. */
  readonly concurrency?: number;
  /** User to run as; only root may choose another one. */
  readonly userId?: number;
  /** Program and arguments to run node under. */
  readonly under?: readonly string[];
}

/** A worker in a process of its own, which can be killed. */
export interface WorkerProcess {
  readonly pid: number;
  /** Everything that it logged so far. */
  log(): string;
  /** Resolves once the faults of these ids have happened. */
  reached(ids: readonly string[], withinMs?: number): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
  /** Resolves when the process is gone, however it went. */
  readonly ended: Promise<void>;
}

/** A folder, a state folder and a queue without a worker: for worker processes, and to start harnesses alike. */
export async function startPlace(parent = tmpdir()): Promise<Harness> {
  const directory = realpathSync(mkdtempSync(join(parent, 'file-backup-test-')));
  const stateDirectory = realpathSync(mkdtempSync(join(parent, 'file-backup-state-')));
  const taskQueue = `test-${randomUUID()}`;
  const connection = await Connection.connect({ address: testServerAddress() });
  const namespace = 'default';
  return {
    directory,
    stateDirectory,
    taskQueue,
    client: new BackupClient({ connection, namespace, taskQueue }),
    temporal: new Client({ connection, namespace }),
    path: (...names) => join(directory, ...names),
    leftovers: () => namesBelow(directory).filter((name) => name.includes('.file-backup-')),
    stop: () => Promise.resolve(),
    remove: async () => {
      await connection.close();
      rmSync(directory, { recursive: true, force: true });
      rmSync(stateDirectory, { recursive: true, force: true });
    },
  };
}

/** Starts `file-backup worker`. The caller must end it. */
export function startWorkerProcess(options: WorkerProcessOptions): WorkerProcess {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'file-backup-faults-')));
  const reachedDirectory = join(folder, 'reached');
  mkdirSync(reachedDirectory);
  writeFileSync(join(folder, 'faults.json'), JSON.stringify({ faults: options.faults ?? {}, reached: reachedDirectory }));
  const [program = process.execPath, ...args] = [...(options.under ?? []), process.execPath, ...nodeArguments(options)];
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    // Under another program a group of its own: killing that program alone would leave the worker behind.
    detached: options.under !== undefined,
    // HOME: another user may not look into ours, where Temporal's configuration file is looked for.
    env: { ...process.env, HOME: options.stateDirectory, TEMPORAL_ADDRESS: testServerAddress(), FAULTS: join(folder, 'faults.json') },
    ...(options.userId === undefined ? {} : { uid: options.userId, gid: options.userId }),
  });
  let logged = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (logged += text));
  const ended = once(child, 'close').then(() => rmSync(folder, { recursive: true, force: true }));
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    send(child, signal, options.under !== undefined);
    await ended;
  };
  return {
    pid: child.pid ?? 0,
    log: () => logged,
    reached: (ids, withinMs) => untilReached(ids, reachedDirectory, child, () => logged, withinMs),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    ended,
  };
}

function nodeArguments({ directory, stateDirectory, taskQueue, faults, concurrency = 1 }: WorkerProcessOptions): string[] {
  const preload = faults === undefined ? [] : ['--require', PRELOAD];
  // As harnesses and places do: what is signed is tested by commands, and in test/proof.
  const roots = ['--source-root', directory, '--destination-root', directory, '--payload-key', 'none'];
  const tuning = ['--concurrency', String(concurrency), '--circuit-failures', '1000', '--shutdown-grace', '5'];
  return [...preload, COMMAND, 'worker', ...roots, '--task-queue', taskQueue, '--state-dir', stateDirectory, ...tuning];
}

function send(child: ChildProcess, signal: NodeJS.Signals, isGroup: boolean): void {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  if (isGroup) process.kill(-child.pid, signal);
  else child.kill(signal);
}

async function untilReached(ids: readonly string[], directory: string, child: ChildProcess, log: () => string, withinMs?: number): Promise<void> {
  const missing = (): string[] => ids.filter((id) => !existsSync(directory) || !readdirSync(directory).includes(id));
  try {
    await until('every fault has happened', () => {
      if (child.exitCode !== null) throw new Error(`The worker ended with ${child.exitCode}`);
      return missing().length === 0;
    }, withinMs);
  } catch (error) {
    throw new Error(`${String(error)}; missing: ${missing().join(', ')}\n${log().slice(-4000)}`, { cause: error });
  }
}
