import type { ChildProcess } from 'node:child_process';
import { cacheDirectory } from '../../src/config';
import { resolveTemporalBinary } from '../../src/server/binary';
import { startServer, stopServer } from './server';

/** The supervisor, for the teardown. */
export const supervisorKey = Symbol.for('file-backup.test-server-supervisor');

/** Starts one Temporal server in memory for all test files, and names it in TEST_TEMPORAL_ADDRESS and TEST_TEMPORAL_CLI. */
export default async function startTestServer(): Promise<void> {
  const log = (message: string): void => console.error(message);
  const { path } = await resolveTemporalBinary({ cacheDirectory: cacheDirectory(), env: process.env, log });
  const { address, supervisor } = await startServer(path);
  Object.assign(globalThis, { [supervisorKey]: supervisor });
  process.env.TEST_TEMPORAL_ADDRESS = address;
  process.env.TEST_TEMPORAL_CLI = path;
}

/** Ends the server that the setup has started, and waits until it is gone. */
export async function stopTestServer(): Promise<void> {
  await stopServer((globalThis as { [supervisorKey]?: ChildProcess })[supervisorKey]);
}
