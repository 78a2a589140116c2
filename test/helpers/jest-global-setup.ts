import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cacheDirectory } from '../../src/config';
import { readNamespace } from '../../src/server/api';
import { resolveTemporalBinary } from '../../src/server/binary';
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

/** The supervisor, for the teardown. */
export const supervisorKey = Symbol.for('file-backup.test-server-supervisor');

/** Starts one Temporal server in memory for all test files, and names it in TEST_TEMPORAL_ADDRESS and TEST_TEMPORAL_CLI. */
export default async function startTestServer(): Promise<void> {
  const log = (message: string): void => console.error(message);
  const { path } = await resolveTemporalBinary({ cacheDirectory: cacheDirectory(), env: process.env, log });
  const [port, apiPort] = await Promise.all([freePort(), freePort()]);
  const folder = mkdtempSync(join(tmpdir(), 'file-backup-test-server-'));
  const supervisor = spawn('sh', ['-c', SUPERVISOR, 'sh', folder, path, ...serverArguments(port, apiPort)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  Object.assign(globalThis, { [supervisorKey]: supervisor });
  await untilReady(`${LOOPBACK}:${apiPort}`, join(folder, 'server.log'));
  process.env.TEST_TEMPORAL_ADDRESS = `${LOOPBACK}:${port}`;
  process.env.TEST_TEMPORAL_CLI = path;
}

/** Ends the server that the setup has started, and waits until it is gone. */
export async function stopTestServer(): Promise<void> {
  const supervisor = (globalThis as { [supervisorKey]?: ChildProcess })[supervisorKey];
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
    if (Date.now() > deadline) throw new Error(`The Temporal server for the tests did not start:\n${logExcerpt(log)}`);
    await delay(20);
  }
}
