import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readNamespace } from '../../src/server/api';
import { logExcerpt } from '../../src/server/log-excerpt';
import { freePort, LOOPBACK } from '../../src/server/ports';

const SEARCH_ATTRIBUTES = { FileBackupState: 'Keyword', FileBackupOperationId: 'Keyword', FileBackupBytes: 'Int' };
const START_WITHIN_MS = 60_000;

/** Ends the server when its standard input ends: at the teardown, and likewise when jest is interrupted or killed. */
const SUPERVISOR = `
folder="$1"; shift
"$@" >"$folder/server.log" 2>&1 &
server=$!
read -r _
kill -9 "$server"
wait "$server" 2>/dev/null
rm -rf "$folder"
`;

/** A Temporal server in memory. */
export interface TestServer {
  readonly address: string;
  readonly supervisor: ChildProcess;
}

/** @param options further options of `temporal server start-dev` */
export async function startServer(binary: string, options: readonly string[] = []): Promise<TestServer> {
  const [port, apiPort] = await Promise.all([freePort(), freePort()]);
  const folder = mkdtempSync(join(tmpdir(), 'file-backup-test-server-'));
  const supervisor = spawn('sh', ['-c', SUPERVISOR, 'sh', folder, binary, ...serverArguments(port, apiPort), ...options], {
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  await untilReady(`${LOOPBACK}:${apiPort}`, join(folder, 'server.log'));
  return { address: `${LOOPBACK}:${port}`, supervisor };
}

/** Ends a server, and waits until it is gone. */
export async function stopServer(supervisor: ChildProcess | undefined): Promise<void> {
  if (!supervisor || supervisor.exitCode !== null) return;
  supervisor.stdin?.end();
  await once(supervisor, 'exit');
}

function serverArguments(port: number, apiPort: number): string[] {
  const attributes = Object.entries(SEARCH_ATTRIBUTES).flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]);
  return ['server', 'start-dev', '--headless', '--ip', LOOPBACK, '--log-level', 'error', '--port', String(port), '--http-port', String(apiPort), ...attributes];
}

async function untilReady(apiAddress: string, log: string): Promise<void> {
  const deadline = Date.now() + START_WITHIN_MS;
  for (;;) {
    const namespace = await readNamespace(apiAddress);
    if (namespace && Object.keys(SEARCH_ATTRIBUTES).every((name) => namespace.searchAttributes.includes(name))) return;
    if (Date.now() > deadline) throw new Error(`The Temporal server for the tests did not start:\n${logExcerpt(log).join('\n')}`);
    await delay(20);
  }
}
