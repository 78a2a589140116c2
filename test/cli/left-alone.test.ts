import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { onStopSignal } from '../../src/worker/stop-signal';
import { createWorkplace, jsonLines, onTestServer, until, type CommandEnd, type RunningCommand, type Workplace } from './run-command';
import { namesBelow } from '../helpers/names-below';

/** Large enough for a command to be met while it copies, and cheap to make: after its beginning the file is one hole. */
const LARGE_BYTES = 1024 ** 3;

/** What is seen to arrive: a hole takes no place at the target until the end. */
const BEGINNING_BYTES = 2 * 1024 ** 2;

/** For a command that must not have ended when several others have. */
const ENDLESS_BYTES = 64 * LARGE_BYTES;

jest.setTimeout(180_000);

let place: Workplace;
const env = onTestServer();

beforeEach(async () => {
  place = createWorkplace();
  mkdirSync(place.path('source'));
  makeBig(LARGE_BYTES);
  writeFileSync(place.path('source', 'small'), 'content');
  expect((await place.run(['init', 'repository'])).code).toBe(0);
});

afterEach(() => place.remove());

function makeBig(sizeBytes: number): void {
  writeFileSync(place.path('source', 'big'), Buffer.alloc(BEGINNING_BYTES, 'content'));
  truncateSync(place.path('source', 'big'), sizeBytes);
}

/** Starts a command and waits until something has happened. */
async function startedUntil(args: readonly string[], condition: () => boolean): Promise<RunningCommand> {
  const running = place.start(args, { env });
  let ended = false;
  void running.end.then(() => (ended = true));
  await until(() => {
    if (ended) throw new Error(`The command ended too early:\n${running.printed()}`);
    return condition();
  }, `${args[0]} has got so far`);
  return running;
}

/** Whether bytes have arrived somewhere below a directory. */
function copying(directory = '.', beginning = ''): boolean {
  const names = namesBelow(place.path(directory));
  return names.some((name) => /staged|staging|incoming/.test(name) && name.includes(beginning) && (statSync(place.path(directory, name), { throwIfNoEntry: false })?.size ?? 0) >= BEGINNING_BYTES);
}

async function kill({ child, end }: RunningCommand): Promise<string> {
  child.kill('SIGKILL');
  return operationOf(await end);
}

function operationOf({ stdout }: CommandEnd): string {
  return String(jsonLines(stdout)[0]?.operationId);
}

async function stateOf(operationId: string): Promise<unknown> {
  const { stdout } = await place.run(['status', operationId, '--json'], { env });
  return jsonLines(stdout)[0]?.status;
}

const snapshot = ['snapshot', 'source', '--to', 'repository', '--json'];

test('a corrected snapshot command undoes what a killed one left, and does its own', async () => {
  const killed = await kill(await startedUntil(snapshot, () => copying('repository')));
  const { code, stdout, stderr } = await place.run([...snapshot, '--exclude', 'big'], { env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: `Operation ${killed} is cancelled, and everything it did is undone.\n` });
  expect(jsonLines(stdout)).toEqual([expect.objectContaining({ messageType: 'replacing', operationId: killed }), expect.objectContaining({ messageType: 'started', attached: false }), ...jsonLines(stdout).slice(2)]);
  expect(jsonLines(stdout).at(-1)).toMatchObject({ messageType: 'result', success: true, files: 1 });
  expect(await stateOf(killed)).toBe('CANCELLED');
  expect(readdirSync(place.path('repository', '.file-backup', 'incoming'))).toEqual([]);
  // Nothing is kept of commands whose runs are over.
  expect(readdirSync(`${place.stateDirectory}/commands`)).toEqual([]);
});

test('a corrected command takes the place of one that was interrupted, and of a single file too', async () => {
  writeFileSync(place.path('target'), 'previous');
  makeBig(ENDLESS_BYTES);
  const interrupted = await startedUntil(['file', 'source/big', 'target', '--json'], () => copying());
  interrupted.child.kill('SIGINT');
  const operationId = operationOf(await interrupted.end);
  const { code, stdout } = await place.run(['file', 'source/small', 'target', '--json'], { env });
  expect(code).toBe(0);
  expect(jsonLines(stdout)[0]).toMatchObject({ messageType: 'replacing', operationId });
  expect(readFileSync(place.path('target'), 'utf8')).toBe('content');
  expect(readdirSync(place.directory).sort()).toEqual(['repository', 'source', 'target']);
});

test('cancel undoes a run whose command was killed, waits for that, and says what became of it', async () => {
  writeFileSync(place.path('target'), 'previous');
  makeBig(ENDLESS_BYTES);
  const killed = await kill(await startedUntil(['file', 'source/big', 'target', '--json'], () => copying()));
  const { code, stdout } = await place.run(['cancel', killed], { env });
  expect({ code, stdout }).toEqual({ code: 0, stdout: `Operation ${killed} is cancelled, and everything it did is undone.\n` });
  expect(readFileSync(place.path('target'), 'utf8')).toBe('previous');
  expect(readdirSync(place.directory).sort()).toEqual(['repository', 'source', 'target']);
  expect((await place.run(['cancel', killed], { env })).stdout).toBe(`${killed} had ended already (cancelled).\n`);
});

test('directories that a killed run has made on the way to its destination are continued in, and go with it', async () => {
  makeBig(ENDLESS_BYTES);
  const killed = await kill(await startedUntil(['file', 'source/big', 'made/below/target', '--json'], () => copying()));
  expect(readdirSync(place.path('made'))).toEqual(['below']);
  expect((await place.run(['cancel', killed], { env })).stdout).toBe(`Operation ${killed} is cancelled, and everything it did is undone.\n`);
  expect(readdirSync(place.directory).sort()).toEqual(['repository', 'source']);

  makeBig(LARGE_BYTES);
  const batch = ['batch', 'source/small', 'source/big', '--to', 'made/below', '--on-failure', 'roll-back', '--json'];
  await kill(await startedUntil(batch, () => existsSync(place.path('made', 'below'))));
  const again = await place.run(batch, { env });
  expect(again).toMatchObject({ code: 0, stderr: '' });
  expect(jsonLines(again.stdout)[0]).toMatchObject({ attached: true });
  expect(readdirSync(place.path('made', 'below')).sort()).toEqual(['.file-backup', 'big.backup', 'small.backup']);
});

test('what is published of a batch is not undone unless somebody says so', async () => {
  mkdirSync(place.path('copies'));
  writeFileSync(place.path('early'), 'early');
  const batch = ['batch', 'early', 'source/big', '--to', 'copies', '--lanes', '1', '--json'];
  const killed = await kill(await startedUntil(batch, () => copying('copies')));
  const refused = await place.run([...batch, '--rehash'], { env });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(`operation ${killed} is writing it`);
  expect(refused.stderr).toContain('Its command is gone, and some of its targets may be written already: the command that it was started with continues it; or end it with');
  expect(await stateOf(killed)).toBe('RUNNING');

  const { code, stdout } = await place.run([...batch, '--rehash', '--replace', '--no-verify'], { env });
  expect(code).toBe(0);
  expect(jsonLines(stdout).at(-1)).toMatchObject({ success: true, totalFiles: 2 });
  expect(await stateOf(killed)).toBe('CANCELLED');
});

test('a run that is alive is refused, and ended by its own worker with --replace', async () => {
  makeBig(ENDLESS_BYTES);
  const running = await startedUntil(['file', 'source/big', 'target', '--json'], () => copying());
  const refused = await place.run(['file', 'source/small', 'target'], { env });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('Wait for it; or end it with "file-backup cancel');
  expect((await place.run(['file', 'source/small', 'target', '--replace'], { env })).code).toBe(0);
  const ended = await running.end;
  expect(ended.code).toBe(1);
  expect(jsonLines(ended.stdout).at(-1)).toMatchObject({ errorCode: 'Cancelled' });
  expect(readFileSync(place.path('target'), 'utf8')).toBe('content');
});

test('cancel of a run that waits for a worker of a queue says that none is there', async () => {
  const waiting = await startedUntil(['file', 'source/small', 'target', '--task-queue', 'nobody-serves-this', '--json'], () => true);
  await until(() => waiting.printed().includes('"started"'), 'the run has begun');
  const operationId = operationOf(await (waiting.child.kill('SIGTERM'), waiting.end));
  const { code, stdout } = await place.run(['cancel', operationId], { env });
  expect(code).toBe(0);
  expect(stdout).toContain('no worker polls its queue nobody-serves-this: it ends when one comes');
  expect(existsSync(place.path('target'))).toBe(false);
});

test('a terminal that is closed interrupts a command as Ctrl-C does', async () => {
  makeBig(ENDLESS_BYTES);
  const running = await startedUntil(['file', 'source/big', 'target', '--json'], () => copying());
  running.child.kill('SIGHUP');
  const { code, stdout } = await running.end;
  expect(code).toBe(130);
  expect(jsonLines(stdout).at(-1)).toMatchObject({ messageType: 'interrupted' });
});

test('a second signal ends a process at once, but for SIGHUP, which comes twice when a terminal is closed', () => {
  const exit = jest.spyOn(process, 'exit').mockImplementation(((): void => undefined) as never);
  const stopped: string[] = [];
  const off = onStopSignal((signal) => stopped.push(signal));
  try {
    process.emit('SIGHUP', 'SIGHUP');
    process.emit('SIGHUP', 'SIGHUP');
    expect(exit).not.toHaveBeenCalled();
    process.emit('SIGINT', 'SIGINT');
    expect(exit).toHaveBeenCalledWith(130);
  } finally {
    off();
    exit.mockRestore();
  }
  expect(stopped[0]).toBe('SIGHUP');
});
