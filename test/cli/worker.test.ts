import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { freePort } from '../../src/server/ports';
import { createWorkplace, jsonLines, onTestServer, until, type RunningCommand, type Workplace } from './run-command';

let place: Workplace;

beforeEach(() => {
  place = createWorkplace();
  mkdirSync(place.path('in'));
  mkdirSync(place.path('out'));
  writeFileSync(place.path('in', 'source'), 'content');
});

afterEach(() => place.remove());

async function startWorker(...options: string[]): Promise<RunningCommand> {
  const worker = place.start(['worker', '--source-root', 'in', '--destination-root', 'out', ...options], { env: onTestServer() });
  let ended = false;
  void worker.end.then(() => (ended = true));
  await until(() => {
    if (ended) throw new Error(`The worker ended:\n${worker.printed()}`);
    return worker.printed().includes('Worker started');
  }, 'the worker starts');
  return worker;
}

test('a worker backs up what a command elsewhere asks for, and ends on SIGTERM with exit code 0', async () => {
  const taskQueue = `test-${randomUUID()}`;
  const [healthPort, metricsPort] = await Promise.all([freePort(), freePort()]);
  const worker = await startWorker('--task-queue', taskQueue, '--health-port', String(healthPort), '--metrics-port', String(metricsPort));
  await until(async () => (await status(`http://127.0.0.1:${healthPort}/healthz`)) === 200, 'the worker is healthy');
  expect(await status(`http://127.0.0.1:${healthPort}/other`)).toBe(404);

  const { code, stdout } = await place.run(['file', 'in/source', 'out/new/target', '--task-queue', taskQueue, '--json'], { env: onTestServer() });
  expect(code).toBe(0);
  expect(jsonLines(stdout).at(-1)).toMatchObject({ messageType: 'result', success: true, createdDirectories: [place.path('out', 'new')] });
  expect(readFileSync(place.path('out', 'new', 'target'), 'utf8')).toBe('content');
  const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  expect(metrics).toContain('temporal_activity_execution_latency');

  worker.child.kill('SIGTERM');
  const end = await worker.end;
  expect(end).toMatchObject({ code: 0, stdout: '' });
  const log = jsonLines(end.stderr);
  expect(log.at(-1)).toMatchObject({ msg: 'Worker stopped' });
  expect(log).toContainEqual(expect.objectContaining({ msg: 'Step finished', step: 'publishFile', backupPath: place.path('out', 'new', 'target') }));
}, 120_000);

test.each([
  ['read', ['file', 'out/secret', 'out/target'], 'SourceNotAllowed', '--source-root'],
  ['write', ['file', 'in/source', 'in/target'], 'TargetNotAllowed', '--destination-root'],
])('a worker refuses to %s elsewhere, naming the option', async (_verb, args, errorCode, option) => {
  writeFileSync(place.path('out', 'secret'), 'secret');
  const taskQueue = `test-${randomUUID()}`;
  const worker = await startWorker('--task-queue', taskQueue, '--log-level', 'info');
  const { code, stderr } = await place.run([...args, '--task-queue', taskQueue], { env: onTestServer() });
  expect(code).toBe(1);
  expect(stderr).toContain(errorCode);
  expect(stderr).toContain(option);
  worker.child.kill('SIGTERM');
  expect((await worker.end).code).toBe(0);
}, 120_000);

async function status(url: string): Promise<number | undefined> {
  try {
    return (await fetch(url)).status;
  } catch {
    // Nobody listens yet.
    return undefined;
  }
}
