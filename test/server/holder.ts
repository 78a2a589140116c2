import { once } from 'node:events';
import { acquireEmbeddedServer } from '../../src/server/embedded';

/**
 * A command's process, for tests: acquires the server of a state directory, prints what it got as one line of JSON,
 * and releases it when its standard input ends.
 */
async function hold(stateDirectory: string, binary: string): Promise<void> {
  const server = await acquireEmbeddedServer({
    stateDirectory,
    binary: () => Promise.resolve(binary),
    searchAttributes: { FileBackupState: 'Keyword' },
    log: (message) => process.stderr.write(`${message}\n`),
  });
  process.stdout.write(`${JSON.stringify(server)}\n`);
  process.stdin.resume();
  await once(process.stdin, 'end');
  await server.release();
}

void hold(process.argv[2]!, process.argv[3]!);
