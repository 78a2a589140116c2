import { setRetention } from './api';
import { NoTemporalServerError, reasonOf } from './errors';
import { withLock } from './lock';
import { isAlive } from './process-identity';
import { removeRecord, readRecord, writeRecord, type ServerRecord } from './record';
import type { ReadyServer } from './ready';
import { findRunningServer, freeDatabase } from './running';
import { startServer } from './start';
import { prepareStateFiles, unusable, type StateFiles } from './state-files';
import { askToStop, waitUntilStopped } from './stop';
import { endDatabaseStart } from './unready-database';
import { liveUsers, registerUser, unregisterUser } from './users';

/** How a command asks for the server it shares with the same user's other commands. */
export interface EmbeddedServerOptions {
  readonly stateDirectory: string;
  /** Path of the Temporal CLI; called only when a server must be started. */
  readonly binary: () => Promise<string>;
  /** Forces the gRPC port; the usual one where free, else any. */
  readonly port?: number;
  /** Forces the Web UI's port; the usual one where free, else any. */
  readonly uiPort?: number;
  /** Name → type, as the CLI's --search-attribute takes them: Keyword, Int, … */
  readonly searchAttributes: Readonly<Record<string, string>>;
  /** Called while a server comes up, and not when one was found: a moment to do what takes time. */
  readonly whileStarting?: () => void;
  /** How long closed runs are kept; the server's own default is one day. */
  readonly retentionDays?: number;
  /** Takes one line for the user. */
  readonly log: (message: string) => void;
}

/** A running server, in use by this process until it is released. */
export interface EmbeddedServer {
  /** Host and port of the gRPC service. */
  readonly address: string;
  /** URL of the Web UI. */
  readonly uiAddress: string;
  readonly namespace: 'default';
  readonly clusterId?: string;
  /** Whether this call started it; false when it was found running. */
  readonly startedByUs: boolean;
  /** Whether its process still runs, whether it answers or not. */
  isRunning(): boolean;
  /**
   * Gives the server up, and stops it when this was its last user. With `wait: false` it is only asked to stop: it
   * ends by itself within about a second, and a command that comes meanwhile starts the next one without waiting.
   */
  release(options?: { wait?: boolean }): Promise<void>;
}

const DEFAULT_RETENTION_DAYS = 90;
const SECONDS_PER_DAY = 86_400;

/**
 * The embedded Temporal server of this state directory: the one that is running, else a new one.
 * @throws NoTemporalServerError with the way out, when none can be had
 */
export async function acquireEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const files = prepareStateFiles(options.stateDirectory);
  const { record, ready, startedByUs, registration } = await lockState(files, options.log, () => findOrStart(files, options));
  const settled = ready ? keepClosedRuns(record, ready, options) : Promise.resolve();
  let released: Promise<void> | undefined;
  return {
    address: record.address,
    uiAddress: record.uiAddress,
    namespace: 'default',
    clusterId: record.clusterId,
    startedByUs,
    isRunning: () => isAlive(record.process),
    release: ({ wait = true } = {}) => (released ??= settled.then(() => leave(files, registration, record, wait, options.log))),
  };
}

interface Acquired {
  readonly record: ServerRecord;
  readonly ready?: ReadyServer;
  readonly startedByUs: boolean;
  readonly registration: string;
}

async function findOrStart(files: StateFiles, options: EmbeddedServerOptions): Promise<Acquired> {
  const found = await findRunningServer(files, Object.keys(options.searchAttributes), options.log);
  if (found) refuseOtherPorts(found.record, options);
  const { record, ready } = found ?? (await start(files, options));
  if (ready) {
    endDatabaseStart(files);
    writeRecord(files.record, record);
  }
  return { record, ready, startedByUs: found === undefined, registration: registerUser(files.users) };
}

async function start(files: StateFiles, options: EmbeddedServerOptions): Promise<{ record: ServerRecord; ready: ReadyServer }> {
  await freeDatabase(files, options.log);
  const binary = await options.binary();
  try {
    const { record, ...ready } = await startServer(binary, files, options);
    return { record, ready };
  } catch (error) {
    removeRecord(files.record);
    throw error;
  }
}

function refuseOtherPorts(record: ServerRecord, options: EmbeddedServerOptions): void {
  const found = { port: portOf(record.address), uiPort: portOf(record.uiAddress) };
  for (const option of ['port', 'uiPort'] as const) {
    const asked = options[option];
    if (asked === undefined || asked === found[option]) continue;
    throw new NoTemporalServerError(
      `The option «${option}» asks for port ${asked}, but the server that this user's commands share already uses ${found[option]}. ` +
        'Leave the option out, wait for the other commands, or choose another state directory with FILE_BACKUP_STATE_DIR.',
    );
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

/** Sets how long closed runs are kept, beside the first work of the command: only a fresh database needs it. */
async function keepClosedRuns(record: ServerRecord, ready: ReadyServer, options: EmbeddedServerOptions): Promise<void> {
  const retention = `${(options.retentionDays ?? DEFAULT_RETENTION_DAYS) * SECONDS_PER_DAY}s`;
  if (ready.namespace.retention === retention) return;
  try {
    await setRetention(record.apiAddress, retention);
  } catch (error) {
    // The backup itself does not depend on it, and the next start tries again.
    options.log(`Closed runs may be forgotten early: ${reasonOf(error)}`);
  }
}

async function leave(files: StateFiles, registration: string, record: ServerRecord, wait: boolean, log: (message: string) => void): Promise<void> {
  const wasLast = await lockState(files, log, () => Promise.resolve(unregister(files, registration, record)));
  if (!wasLast || !wait) return;
  await waitUntilStopped(record.process);
  await lockState(files, log, () => Promise.resolve(forget(files, record)));
}

/** Whether that was the last user of this server, which is asked to stop then. */
function unregister(files: StateFiles, registration: string, record: ServerRecord): boolean {
  unregisterUser(registration);
  if (liveUsers(files.users).length > 0 || isReplaced(files, record)) return false;
  // In this order: a server on its way out must never look like one to share.
  writeRecord(files.record, { ...record, state: 'stopping' });
  askToStop(record.process);
  return true;
}

function forget(files: StateFiles, record: ServerRecord): void {
  if (!isReplaced(files, record)) removeRecord(files.record);
}

/** Whether another server has taken the place of this one meanwhile. */
function isReplaced(files: StateFiles, { process: { pid, startedAt } }: ServerRecord): boolean {
  const current = readRecord(files.record);
  return typeof current === 'object' && (current.process.pid !== pid || current.process.startedAt !== startedAt);
}

async function lockState<Result>(files: StateFiles, log: (message: string) => void, action: () => Promise<Result>): Promise<Result> {
  const onLongWait = (pid: number): void => log(`Waiting for process ${pid}, which is starting the Temporal server.`);
  try {
    return await withLock(files.lock, action, onLongWait);
  } catch (error) {
    throw isAboutFileIn(files.directory, error) ? unusable(files.directory, error) : error;
  }
}

function isAboutFileIn(directory: string, error: unknown): boolean {
  const path = (error as { path?: unknown } | undefined)?.path;
  return typeof path === 'string' && path.startsWith(directory);
}
