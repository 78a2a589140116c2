import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isAlive } from '../../src/server/process-identity';
import { readRecord } from '../../src/server/record';

/** The command as it is installed. */
export const COMMAND = resolve(__dirname, '../../lib/cli/main.js');

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface CommandEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs as a process of its own. */
export interface RunningCommand {
  readonly child: ChildProcess;
  readonly end: Promise<CommandEnd>;
  /** What it has printed so far. */
  printed(): string;
}

/** A folder for the files of one test file, and a state directory that no other one uses. */
export interface Workplace {
  readonly directory: string;
  /** Not created yet: only a command that starts a server does. */
  readonly stateDirectory: string;
  path(...names: string[]): string;
  start(args: readonly string[], options?: CommandOptions): RunningCommand;
  run(args: readonly string[], options?: CommandOptions): Promise<CommandEnd>;
  /** Waits until the embedded server has ended by itself, as it does after its last user. */
  serverEnd(): Promise<void>;
  /** Ends what still runs, and removes everything. */
  remove(): Promise<void>;
}

export function createWorkplace(): Workplace {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'file-backup-cli-')));
  const directory = join(base, 'files');
  const home = join(base, 'home');
  mkdirSync(directory);
  mkdirSync(home);
  const stateDirectory = join(base, 'state');
  const running = new Set<RunningCommand>();
  const start = (args: readonly string[], { cwd = directory, env = {} }: CommandOptions = {}): RunningCommand => {
    const command = startProcess(process.execPath, [COMMAND, ...args], { cwd, env: { ...environment(home, stateDirectory), ...env } });
    running.add(command);
    void command.end.then(() => running.delete(command));
    return command;
  };
  const serverEnd = (): Promise<void> => until(() => !isServerAlive(stateDirectory), 'the embedded server ends');
  return {
    directory,
    stateDirectory,
    path: (...names) => join(directory, ...names),
    start,
    run: (args, options) => start(args, options).end,
    serverEnd,
    remove: async () => {
      for (const { child } of running) child.kill('SIGKILL');
      await Promise.all([...running].map(({ end }) => end));
      await endServer(stateDirectory);
      rmSync(base, { recursive: true, force: true });
    },
  };
}

/** Starts any program and collects what it prints. */
export function startProcess(program: string, args: readonly string[], { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv }): RunningCommand {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const end = (once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>).then(([code, signal]) => ({ code, signal, stdout, stderr }));
  return { child, end, printed: () => stdout + stderr };
}

const POLL_MS = 10;
const WITHIN_MS = 40_000;

/** Waits for a condition, for as long as a busy machine may need. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + WITHIN_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`It did not happen that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** The objects that a command has printed with `--json`. */
export function jsonLines(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The shared server of the tests, for commands that need no embedded one. */
export function onTestServer(): Record<string, string> {
  return { TEMPORAL_ADDRESS: process.env.TEST_TEMPORAL_ADDRESS ?? '' };
}

/** Nothing of the caller's own settings: neither a server nor a profile nor a state directory. */
function environment(home: string, stateDirectory: string): NodeJS.ProcessEnv {
  const { PATH, TMPDIR, TEST_TEMPORAL_CLI } = process.env;
  return { PATH, ...(TMPDIR === undefined ? {} : { TMPDIR }), HOME: home, FILE_BACKUP_STATE_DIR: stateDirectory, TEMPORAL_CLI_PATH: TEST_TEMPORAL_CLI };
}

function serverProcess(stateDirectory: string) {
  const file = join(stateDirectory, 'server.json');
  const record = existsSync(file) ? readRecord(file) : undefined;
  return typeof record === 'object' ? record.process : undefined;
}

function isServerAlive(stateDirectory: string): boolean {
  const server = serverProcess(stateDirectory);
  return server !== undefined && isAlive(server);
}

/** A server whose last user was killed goes on until the next command: here it is the test's to end. */
async function endServer(stateDirectory: string): Promise<void> {
  const server = serverProcess(stateDirectory);
  if (server === undefined || !isAlive(server)) return;
  process.kill(server.pid, 'SIGTERM');
  await until(() => !isAlive(server), 'the embedded server ends');
}
