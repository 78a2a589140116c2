import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { testServerAddress } from './backup-harness';

const run = promisify(execFile);

/** What an operator types: a command of the Temporal CLI, against the server of the tests or another one. @throws Error with what it said */
export async function temporalCli(args: readonly string[], address = testServerAddress()): Promise<string> {
  const binary = process.env.TEST_TEMPORAL_CLI;
  if (binary === undefined) throw new Error('TEST_TEMPORAL_CLI is not set: run the tests with "npm test"');
  // Nothing of the developer's own configuration decides where this goes.
  const { stdout } = await run(binary, [...args, '--address', address, '--namespace', 'default', '--disable-config-file', '--disable-config-env', '--color', 'never'], { maxBuffer: 16 * 1024 * 1024 });
  return stdout;
}
