import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { Way } from '../helpers/way';
import { createWorkplace, jsonLines, onTestServer, until, type RunningCommand, type Workplace } from './run-command';

jest.setTimeout(180_000);

const LARGE_BYTES = 2 * 1024 ** 3;

let place: Workplace;

beforeEach(() => {
  place = createWorkplace();
  mkdirSync(place.path('source'));
  writeFileSync(place.path('source', 'file'), 'content');
  writeFileSync(place.path('large'), '');
  truncateSync(place.path('large'), LARGE_BYTES);
});

afterEach(() => place.remove());

async function printedBy(running: RunningCommand, text: string): Promise<void> {
  let ended = false;
  void running.end.then(() => (ended = true));
  await until(() => {
    if (ended && !running.printed().includes(text)) throw new Error(`The command ended:\n${running.printed()}`);
    return running.printed().includes(text);
  }, `"${text}" is printed`);
}

test('a server that goes away during a run is waited for, and that is said', async () => {
  const way = await new Way().listen();
  try {
    const running = place.start(['file', 'large', 'copy', '--no-verify'], { env: { TEMPORAL_ADDRESS: way.address } });
    await printedBy(running, 'copying');
    way.cut();
    await printedBy(running, `The Temporal server at ${way.address} does not answer; waiting until `);
    way.mend();
    const { code, stderr } = await running.end;
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining(`The Temporal server at ${way.address} answers again\n`) as string });
    expect(statSync(place.path('copy')).size).toBe(LARGE_BYTES);
  } finally {
    await way.close();
  }
});

test('at the end of --server-patience the command says who goes on', async () => {
  const way = await new Way().listen();
  try {
    const running = place.start(['file', 'large', 'copy', '--json', '--server-patience', '1s'], { env: { TEMPORAL_ADDRESS: way.address } });
    await printedBy(running, '"status"');
    way.cut();
    const { code, stdout } = await running.end;
    expect(code).toBe(130);
    expect(jsonLines(stdout).map(({ messageType, errorMessage }) => [messageType, errorMessage])).toContainEqual(['serverAway', undefined]);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ messageType: 'error', errorCode: 'RunLost', errorMessage: expect.stringContaining('the same command continues it') as string });
  } finally {
    await way.close();
  }
});

test('an embedded server whose process has ended is not waited for', async () => {
  const running = place.start(['file', 'large', 'copy', '--no-verify', '--server-patience', '1h']);
  await printedBy(running, 'copying');
  const { pid } = JSON.parse(readFileSync(`${place.stateDirectory}/server.json`, 'utf8')) as { pid: number };
  process.kill(pid, 'SIGKILL');
  const { code, stderr } = await running.end;
  expect(code).toBe(130);
  expect(stderr).not.toContain('waiting until');
});

test.each([
  ['file', ['file', 'source/file', 'copies/file']],
  ['batch', ['batch', 'source/file', '--to', 'copies']],
  ['snapshot', ['snapshot', 'source', '--to', 'repository']],
  ['restore', ['restore', 'repository', '--to', 'restored']],
])('%s says that nobody polls its queue, and goes on when somebody does', async (_name, args) => {
  for (const directory of ['copies', 'restored']) mkdirSync(place.path(directory));
  expect((await place.run(['init', 'repository'])).code).toBe(0);
  expect((await place.run(['snapshot', 'source', '--to', 'repository'], { env: onTestServer() })).code).toBe(0);
  const taskQueue = `test-${randomUUID()}`;
  const running = place.start([...args, '--task-queue', taskQueue], { env: onTestServer() });
  await printedBy(running, `No worker polls the queue ${taskQueue}: the run waits until one comes (file-backup worker --task-queue ${taskQueue})`);
  const worker = place.start(['worker', '--source-root', '.', '--destination-root', '.', '--task-queue', taskQueue], { env: onTestServer() });
  expect((await running.end).code).toBe(0);
  worker.child.kill('SIGTERM');
  await worker.end;
});
