import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { acquireEmbeddedServer, type EmbeddedServer, type EmbeddedServerOptions } from '../../src/server/embedded';
import { parseIdentity, type ProcessIdentity } from '../../src/server/process-identity';
import { kill } from '../../src/server/stop';

/** What a process that holds the server prints. */
export type HeldServer = Pick<EmbeddedServer, 'address' | 'uiAddress' | 'clusterId' | 'startedByUs'>;

/** A process of its own that uses the server, as a command does. */
export interface Holder {
  readonly child: ChildProcess;
  readonly server: HeldServer;
  /** Ends the process by killing it: it releases nothing. */
  kill(): Promise<void>;
  /** Has the process release the server and end. */
  release(): Promise<void>;
}

/** A state directory of one test, with everything that was started for it. */
export interface StateHarness {
  readonly directory: string;
  readonly log: string[];
  acquire(options?: Partial<EmbeddedServerOptions>): Promise<EmbeddedServer>;
  hold(): Promise<Holder>;
  path(name: string): string;
  record(): Record<string, unknown>;
  writeRecord(changes: Record<string, unknown>): void;
  hasRecord(): boolean;
  /** The server process on record. Kept for the cleanup, whatever the test does to the record. */
  serverProcess(): ProcessIdentity;
  cleanUp(): Promise<void>;
}

/** The Temporal CLI that the tests share. */
export function temporalBinary(): string {
  const path = process.env.TEST_TEMPORAL_CLI;
  if (!path) throw new Error('TEST_TEMPORAL_CLI is not set: run the tests by jest and its global setup');
  return path;
}

export function createState(): StateHarness {
  const directory = mkdtempSync(join(tmpdir(), 'file-backup-state-'));
  const log: string[] = [];
  const held: EmbeddedServer[] = [];
  const children: ChildProcess[] = [];
  const servers: ProcessIdentity[] = [];
  const path = (name: string): string => join(directory, name);
  const record = (): Record<string, unknown> => JSON.parse(readFileSync(path('server.json'), 'utf8')) as Record<string, unknown>;
  const hasRecord = (): boolean => existsSync(path('server.json'));
  const remember = (): void => {
    const identity = hasRecord() && parseIdentity(readFileSync(path('server.json'), 'utf8'));
    if (identity) servers.push(identity);
  };
  return {
    directory,
    log,
    path,
    record,
    hasRecord,
    async acquire(options) {
      const server = await acquireEmbeddedServer({
        stateDirectory: directory,
        binary: () => Promise.resolve(temporalBinary()),
        searchAttributes: { FileBackupState: 'Keyword' },
        log: (message) => log.push(message),
        ...options,
      });
      held.push(server);
      remember();
      return server;
    },
    async hold() {
      const holder = await startHolder(directory, children);
      remember();
      return holder;
    },
    writeRecord: (changes) => writeFileSync(path('server.json'), JSON.stringify({ ...(hasRecord() && record()), ...changes })),
    serverProcess: () => parseIdentity(record())!,
    async cleanUp() {
      for (const child of children) child.kill('SIGKILL');
      for (const server of servers) await kill(server);
      for (const server of held) await server.release();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function startHolder(directory: string, children: ChildProcess[]): Promise<Holder> {
  const hook = join(__dirname, 'typescript-hook.cjs');
  const child = spawn(process.execPath, ['-r', hook, join(__dirname, 'holder.ts'), directory, temporalBinary()], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const ended = once(child, 'exit');
  const line = await Promise.race([
    once(createInterface(child.stdout), 'line').then(([text]) => text as string),
    ended.then(([code]) => Promise.reject(new Error(`The holder ended with exit code ${code}`))),
  ]);
  return {
    child,
    server: JSON.parse(line) as HeldServer,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    async release() {
      child.stdin.end();
      await ended;
    },
  };
}
