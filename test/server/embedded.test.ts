import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Client, Connection } from '@temporalio/client';
import { readClusterId, readNamespace } from '../../src/server/api';
import { NoTemporalServerError } from '../../src/server/errors';
import { freePort } from '../../src/server/ports';
import { identifyProcess, isAlive } from '../../src/server/process-identity';
import { createState, temporalBinary, type StateHarness } from './state-harness';

let state: StateHarness;
beforeEach(() => {
  state = createState();
});
afterEach(() => state.cleanUp());

const neverStarted = (): Promise<string> => Promise.reject(new Error('a server was to be started'));
const onLinux = process.platform === 'linux' ? test : test.skip;

describe('sharing one server', () => {
  test('the first command starts the server on loopback, in a directory for its owner alone', async () => {
    chmodSync(state.directory, 0o755);
    const server = await state.acquire();
    expect(server).toMatchObject({ startedByUs: true, namespace: 'default', clusterId: expect.any(String) as string });
    expect(server.address).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(server.uiAddress).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(statSync(state.directory).mode & 0o777).toBe(0o700);
  });

  test('the second command uses the server of the first without starting one', async () => {
    const first = await state.acquire();
    const second = await state.acquire({ binary: neverStarted });
    expect(second).toMatchObject({ startedByUs: false, address: first.address, uiAddress: first.uiAddress, clusterId: first.clusterId });
  });

  test('only the last release stops the server', async () => {
    const first = await state.acquire();
    const second = await state.acquire();
    const server = state.serverProcess();
    await first.release();
    expect(isAlive(server)).toBe(true);
    expect(await readClusterId(state.record().apiAddress as string)).toBe(first.clusterId);
    await second.release();
    expect(isAlive(server)).toBe(false);
    expect(state.hasRecord()).toBe(false);
  });

  test('releasing twice gives up one use only', async () => {
    const first = await state.acquire();
    const second = await state.acquire();
    const server = state.serverProcess();
    await Promise.all([first.release(), first.release()]);
    expect(isAlive(server)).toBe(true);
    await second.release();
  });

  test('processes that acquire at the same moment share one server', async () => {
    const holders = await Promise.all([state.hold(), state.hold(), state.hold()]);
    expect(holders.filter(({ server }) => server.startedByUs)).toHaveLength(1);
    expect(new Set(holders.map(({ server }) => `${server.address} ${server.clusterId}`)).size).toBe(1);
    const server = state.serverProcess();
    await Promise.all(holders.map((holder) => holder.release()));
    expect(isAlive(server)).toBe(false);
  });

  test('a server that is asked to stop without waiting is not shared any more', async () => {
    const first = await state.acquire();
    const server = state.serverProcess();
    await first.release({ wait: false });
    const second = await state.acquire();
    expect(second).toMatchObject({ startedByUs: true, clusterId: first.clusterId });
    expect(isAlive(server)).toBe(false);
    expect(isAlive(state.serverProcess())).toBe(true);
  });
});

describe('commands that are killed', () => {
  test('a killed command leaves the server running, and the next one finds and stops it', async () => {
    const holder = await state.hold();
    const server = state.serverProcess();
    await holder.kill();
    expect(isAlive(server)).toBe(true);
    const next = await state.acquire({ binary: neverStarted });
    expect(next).toMatchObject({ startedByUs: false, clusterId: holder.server.clusterId });
    await next.release();
    expect(isAlive(server)).toBe(false);
    expect(readdirSync(state.path('users'))).toEqual([]);
  });

  test('a start that was interrupted is completed by the next command', async () => {
    const holder = await state.hold();
    await holder.kill();
    state.writeRecord({ state: 'starting', clusterId: undefined });
    const next = await state.acquire({ binary: neverStarted });
    expect(next).toMatchObject({ startedByUs: false, address: holder.server.address, clusterId: holder.server.clusterId });
    expect(state.record()).toMatchObject({ state: 'running', clusterId: holder.server.clusterId });
  });

  test('a server that has died is replaced by one with the same data', async () => {
    const holder = await state.hold();
    await holder.kill();
    process.kill(state.serverProcess().pid, 'SIGKILL');
    const next = await state.acquire();
    expect(next).toMatchObject({ startedByUs: true, clusterId: holder.server.clusterId });
  });

  onLinux('a silent server without users is replaced', async () => {
    const holder = await state.hold();
    const server = state.serverProcess();
    await holder.kill();
    process.kill(server.pid, 'SIGSTOP');
    while (!hasStopped(server.pid)) await new Promise(setImmediate);
    const next = await state.acquire();
    expect(next).toMatchObject({ startedByUs: true, clusterId: holder.server.clusterId });
    expect(isAlive(server)).toBe(false);
  });
});

describe('servers that are not ours', () => {
  test('a process that got the recorded pid later is neither adopted nor harmed', async () => {
    const other = spawn('tail', ['-f', '/dev/null'], { stdio: 'ignore' });
    const identity = identifyProcess(other.pid!)!;
    try {
      const address = `127.0.0.1:${await freePort()}`;
      state.writeRecord({ version: 1, state: 'running', ...identity, startedAt: 'earlier', address, uiAddress: '', apiAddress: address, clusterId: 'x' });
      const server = await state.acquire();
      expect(server.startedByUs).toBe(true);
      expect(isAlive(identity)).toBe(true);
    } finally {
      other.kill('SIGKILL');
    }
  });

  test('a server with another cluster id on the recorded port is left alone', async () => {
    const other = createState();
    try {
      const foreign = await other.acquire();
      state.writeRecord({ ...other.record(), clusterId: 'ours' });
      const server = await state.acquire();
      expect(server.startedByUs).toBe(true);
      expect(server.address).not.toBe(foreign.address);
      expect(isAlive(other.serverProcess())).toBe(true);
    } finally {
      await other.cleanUp();
    }
  });

  onLinux('a database that another server has open is refused, naming that server', async () => {
    const place = ['--ip', '127.0.0.1', '--port', String(await freePort()), '--db-filename', state.path('temporal.db')];
    const stranger = spawn(temporalBinary(), ['server', 'start-dev', '--headless', ...place, '--sqlite-pragma', 'journal_mode=wal'], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      // It says where it listens once it has its database open.
      await once(stranger.stdout, 'data');
      await expect(state.acquire()).rejects.toThrow(`in use by process ${stranger.pid}`);
      expect(stranger.exitCode).toBeNull();
    } finally {
      stranger.kill('SIGKILL');
      await once(stranger, 'exit');
    }
  });
});

describe('broken state', () => {
  test('an unreadable record is replaced', async () => {
    writeFileSync(state.path('server.json'), '{"version":1,"pid":');
    const server = await state.acquire();
    expect(server.startedByUs).toBe(true);
    expect(state.log.join()).toContain('unreadable');
    expect(state.record()).toMatchObject({ version: 1, state: 'running' });
  });

  onLinux('a server whose record was lost is not doubled while a command uses it, and is replaced afterwards', async () => {
    const holder = await state.hold();
    const server = state.serverProcess();
    writeFileSync(state.path('server.json'), 'lost');
    const refusal = state.acquire();
    await expect(refusal).rejects.toThrow(NoTemporalServerError);
    await expect(refusal).rejects.toThrow(`process ${holder.child.pid} to end`);
    expect(isAlive(server)).toBe(true);
    await holder.kill();
    const next = await state.acquire();
    expect(next).toMatchObject({ startedByUs: true, clusterId: holder.server.clusterId });
    expect(isAlive(server)).toBe(false);
  });

  test('the last release stops the server even when its record was lost', async () => {
    const server = await state.acquire();
    const identity = state.serverProcess();
    writeFileSync(state.path('server.json'), 'lost');
    await server.release();
    expect(isAlive(identity)).toBe(false);
  });

  test('a state directory that cannot be written is named, with the variable that chooses another', async () => {
    writeFileSync(state.path('file'), '');
    const acquiring = state.acquire({ stateDirectory: state.path('file/state') });
    await expect(acquiring).rejects.toThrow(NoTemporalServerError);
    await expect(acquiring).rejects.toThrow(/file\/state cannot be used: .*FILE_BACKUP_STATE_DIR/);
  });

  test('a file in the state directory that cannot be written is reported likewise', async () => {
    writeFileSync(state.path('server.log'), '');
    mkdirSync(state.path('server.log.old/in-the-way'), { recursive: true });
    const acquiring = state.acquire();
    await expect(acquiring).rejects.toThrow(NoTemporalServerError);
    await expect(acquiring).rejects.toThrow(/cannot be used: .*server\.log.*FILE_BACKUP_STATE_DIR/);
  });

  test('a server that dies while it starts is reported with the end of its log', async () => {
    const binary = state.path('broken');
    writeFileSync(binary, '#!/bin/sh\necho "disk on fire" >&2\nexit 1\n');
    chmodSync(binary, 0o755);
    const acquiring = state.acquire({ binary: () => Promise.resolve(binary) });
    await expect(acquiring).rejects.toThrow(NoTemporalServerError);
    await expect(acquiring).rejects.toThrow(/did not start[\s\S]*disk on fire[\s\S]*TEMPORAL_ADDRESS/);
    expect(state.hasRecord()).toBe(false);
    expect((await state.acquire()).startedByUs).toBe(true);
  });

  test('a binary that cannot be run is named', async () => {
    const binary = state.path('absent');
    await expect(state.acquire({ binary: () => Promise.resolve(binary) })).rejects.toThrow(`${binary} did not start`);
  });
});

describe('ports', () => {
  test.each(['port', 'uiPort'] as const)('a taken port is refused, naming the option %s', async (option) => {
    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    try {
      const acquiring = state.acquire({ [option]: port });
      await expect(acquiring).rejects.toThrow(NoTemporalServerError);
      await expect(acquiring).rejects.toThrow(`Port ${port}, asked for with the option «${option}», is taken`);
    } finally {
      listener.close();
    }
  });

  test('a running server is not shared under another port than the one asked for', async () => {
    const server = await state.acquire();
    await expect(state.acquire({ port: 1 })).rejects.toThrow(/asks for port 1, but the server .* uses \d+/);
    expect(await state.acquire({ port: Number(server.address.split(':')[1]) })).toMatchObject({ startedByUs: false });
  });
});

describe('data', () => {
  test('a restarted server has the same cluster id and the runs of before', async () => {
    const before = await state.acquire();
    const workflowId = 'kept';
    await withClient(before.address, (client) => client.workflow.start('anything', { workflowId, taskQueue: 'nobody' }));
    const pid = state.serverProcess().pid;
    await before.release();
    const after = await state.acquire();
    expect(after.clusterId).toBe(before.clusterId);
    expect(state.serverProcess().pid).not.toBe(pid);
    const found = await withClient(after.address, (client) => client.workflow.getHandle(workflowId).describe());
    expect(found.status.name).toBe('RUNNING');
  });

  test.each([
    [undefined, '7776000s'],
    [7, '604800s'],
  ])('closed runs are kept for %p days, ninety unless said otherwise', async (retentionDays, expected) => {
    const first = await state.acquire({ retentionDays });
    await state.acquire();
    await first.release();
    const namespace = await readNamespace(state.record().apiAddress as string);
    expect(namespace).toEqual({ retention: expected, searchAttributes: ['FileBackupState'] });
  });

  test('the log of the server before is kept, and no older one', async () => {
    writeFileSync(state.path('server.log'), 'the one before');
    writeFileSync(state.path('server.log.old'), 'the oldest');
    await state.acquire();
    expect(readFileSync(state.path('server.log.old'), 'utf8')).toBe('the one before');
    expect(readFileSync(state.path('server.log'), 'utf8')).not.toContain('the one before');
  });
});

onLinux('the server has a session of its own, so that Ctrl-C in the terminal does not reach it', async () => {
  await state.acquire();
  const { pid } = state.serverProcess();
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const session = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]);
  expect(session).toBe(pid);
  expect(identifyProcess(session)).toBeDefined();
});

/** Whether each thread of the process has got its stop signal. */
function hasStopped(pid: number): boolean {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.every((thread) => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')));
}

async function withClient<Result>(address: string, use: (client: Client) => Promise<Result>): Promise<Result> {
  const connection = await Connection.connect({ address });
  try {
    return await use(new Client({ connection }));
  } finally {
    await connection.close();
  }
}
