import { spawn } from 'node:child_process';
import { closeSync, openSync, renameSync } from 'node:fs';
import { OWNER_VARIABLE } from './database-owner';
import { codeOf, NoTemporalServerError, reasonOf } from './errors';
import { logExcerpt } from './log-excerpt';
import { choosePorts, LOOPBACK, type ServerPorts } from './ports';
import { identifyProcess, isAlive } from './process-identity';
import { untilReady, type ReadyServer } from './ready';
import { writeRecord, type ServerRecord } from './record';
import type { StateFiles } from './state-files';
import { kill } from './stop';
import { beginDatabase } from './unready-database';

/** What a server is started with. */
export interface StartOptions {
  readonly port?: number;
  readonly uiPort?: number;
  /** Name → type, as the CLI's --search-attribute takes them. */
  readonly searchAttributes: Readonly<Record<string, string>>;
  /** Takes one line for the user. */
  readonly log: (message: string) => void;
  /** Called as soon as the server's process runs: a moment to do what takes time while it comes up. */
  readonly whileStarting?: () => void;
}

/** A port may be taken between the look at it and the server's own bind, and the server itself may fail to find free ones. */
const ATTEMPTS = 3;

/** Starts a server on the state directory's database and waits until it serves. Only the holder of the lock may. */
export async function startServer(binary: string, files: StateFiles, options: StartOptions): Promise<{ record: ServerRecord } & ReadyServer> {
  for (let attempt = 1; ; attempt += 1) {
    // Each time: the attempt before may have ended while it made the database.
    beginDatabase(files, options.log);
    // Servers that start at the same moment compete for the usual ports; the losers do not compete again.
    const ports = await choosePorts(options, attempt === 1);
    const record = await launch(binary, files, ports, options.searchAttributes);
    if (attempt === 1) options.whileStarting?.();
    try {
      const ready = await untilReady(record, Object.keys(options.searchAttributes));
      return { record: { ...record, state: 'running', clusterId: ready.clusterId }, ...ready };
    } catch (error) {
      const hasDied = !isAlive(record.process);
      await kill(record.process);
      if (!hasDied || attempt === ATTEMPTS) throw startFailure(binary, files, reasonOf(error));
    }
  }
}

/** Spawns the server and writes its record in the same turn, so that hardly a crash can leave a server unrecorded. */
async function launch(binary: string, files: StateFiles, ports: ServerPorts, attributes: StartOptions['searchAttributes']): Promise<ServerRecord> {
  const log = openLog(files.log);
  try {
    const child = forOwnerAlone(() => spawn(binary, serverArguments(files.database, ports, attributes), {
      cwd: files.directory,
      // Its own session: Ctrl-C in the terminal reaches the commands, not the server they share.
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, [OWNER_VARIABLE]: files.directory },
    }));
    const spawned = new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    const identity = child.pid === undefined ? undefined : identifyProcess(child.pid);
    const record = identity && recordOf(identity, ports);
    try {
      if (record) writeRecord(files.record, record);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      await spawned;
      child.unref();
    }
    if (!record) throw new Error('it ended at once');
    return record;
  } catch (error) {
    throw startFailure(binary, files, reasonOf(error));
  } finally {
    closeSync(log);
  }
}

/** What the server makes, such as its database and the files beside it, is nobody else's: a process inherits the umask. */
function forOwnerAlone<T>(start: () => T): T {
  const before = process.umask(0o077);
  try {
    return start();
  } finally {
    process.umask(before);
  }
}

function recordOf(identity: ServerRecord['process'], ports: ServerPorts): ServerRecord {
  return {
    state: 'starting',
    process: identity,
    address: `${LOOPBACK}:${ports.port}`,
    uiAddress: `http://${LOOPBACK}:${ports.uiPort}`,
    apiAddress: `${LOOPBACK}:${ports.apiPort}`,
  };
}

function serverArguments(database: string, ports: ServerPorts, attributes: StartOptions['searchAttributes']): string[] {
  return [
    ...['server', 'start-dev', '--ip', LOOPBACK, '--log-level', 'warn'],
    ...['--port', String(ports.port), '--ui-port', String(ports.uiPort), '--http-port', String(ports.apiPort)],
    ...['--db-filename', database],
    // WAL makes commits cheap; full synchronisation keeps each of them through a power cut.
    ...['--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=full'],
    ...Object.entries(attributes).flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]),
  ];
}

/** A new log for each server, with the one before kept: the log never grows over more than one server's life. */
function openLog(path: string): number {
  try {
    renameSync(path, `${path}.old`);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  return openSync(path, 'w', 0o600);
}

function startFailure(binary: string, files: StateFiles, reason: string): NoTemporalServerError {
  const excerpt = logExcerpt(files.log);
  return new NoTemporalServerError([
    `The Temporal server ${binary} did not start: ${reason}; ${excerpt.length > 0 ? 'its log says:' : 'its log is empty.'}`,
    ...excerpt.map((line) => `  ${line}`),
    `The log is ${files.log}. Use another Temporal CLI with TEMPORAL_CLI_PATH, or a running server with TEMPORAL_ADDRESS.`,
  ]);
}
