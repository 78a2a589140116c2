import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createWorkplace, jsonLines, until, type CommandEnd, type RunningCommand, type Workplace } from './run-command';
import { namesBelow } from '../helpers/names-below';

/** Large enough for a command to be met while it copies, and cheap to make: the file is one hole. */
const SIZE_BYTES = 1024 ** 3;

jest.setTimeout(180_000);

let place: Workplace;

beforeEach(() => {
  place = createWorkplace();
  writeFileSync(place.path('source'), 'the beginning');
  truncateSync(place.path('source'), SIZE_BYTES);
  writeFileSync(place.path('target'), 'previous');
});

afterEach(() => place.remove());

const command = ['file', 'source', 'target', '--no-verify'];

test('Ctrl-C ends the command with exit code 130, and the same command continues the same operation', async () => {
  const interrupted = place.start(command);
  await copying(interrupted);
  interrupted.child.kill('SIGINT');
  const { code, stdout, stderr } = await interrupted.end;
  expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
  const operationId = /^Interrupted\. Operation ([0-9a-f-]{36}) is not finished: the same command continues it\.$/m.exec(stderr)?.[1];
  expect(operationId).toBeDefined();
  expect(readFileSync(place.path('target'), 'utf8')).toBe('previous');
  await place.serverEnd();

  const continued = await place.run([...command, '--json']);
  expectContinued(continued, operationId);
});

test('with --json an interrupted command says so in its last line', async () => {
  const interrupted = place.start([...command, '--json']);
  await copying(interrupted);
  interrupted.child.kill('SIGTERM');
  const { code, stdout } = await interrupted.end;
  expect(code).toBe(130);
  const [started, last] = [jsonLines(stdout)[0], jsonLines(stdout).at(-1)];
  expect(last).toMatchObject({ messageType: 'interrupted', operationId: started?.operationId, runId: started?.runId });
});

test('a command that was killed is continued by the same command', async () => {
  const killed = place.start([...command, '--json']);
  await copying(killed);
  killed.child.kill('SIGKILL');
  const { signal, stdout } = await killed.end;
  expect(signal).toBe('SIGKILL');
  const started = jsonLines(stdout)[0];
  expect(started).toMatchObject({ messageType: 'started', attached: false });

  const continued = await place.run([...command, '--json']);
  expectContinued(continued, started?.operationId);
  // Killed, it could not end its server; the next command has found that server, and ended it as its last user.
  await place.serverEnd();
});

/** Waits until bytes arrive in the staging directory. */
async function copying(running: RunningCommand): Promise<void> {
  let ended = false;
  void running.end.then(() => (ended = true));
  await until(() => {
    if (ended) throw new Error(`The command ended before it could be interrupted:\n${running.printed()}`);
    return stagedBytes() > 0;
  }, 'the command copies');
}

function stagedBytes(): number {
  const names = namesBelow(place.directory).filter((name) => name.includes('/staged-'));
  return Math.max(0, ...names.map((name) => statSync(place.path(name), { throwIfNoEntry: false })?.size ?? 0));
}

function expectContinued({ code, stdout }: CommandEnd, operationId: unknown): void {
  expect(code).toBe(0);
  const lines = jsonLines(stdout);
  expect(lines[0]).toMatchObject({ messageType: 'started', operationId, attached: true });
  expect(lines.at(-1)).toMatchObject({ messageType: 'result', success: true, operationId, backupSizeBytes: SIZE_BYTES });
  expect(beginningOf('target')).toEqual(beginningOf('source'));
  expect(statSync(place.path('target')).size).toBe(SIZE_BYTES);
  expect(readdirSync(place.directory).sort()).toEqual(['source', 'target']);
}

function beginningOf(name: string): string {
  const descriptor = openSync(place.path(name), 'r');
  try {
    const bytes = Buffer.alloc(64);
    readSync(descriptor, bytes);
    return bytes.toString('latin1');
  } finally {
    closeSync(descriptor);
  }
}
