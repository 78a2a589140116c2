import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { freePort } from '../../src/server/ports';
import { Way } from '../helpers/way';
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

test('each step of a batch, a snapshot and a restore is logged with what it is about and what came of it', async () => {
  const taskQueue = `test-${randomUUID()}`;
  const worker = await startWorker('--task-queue', taskQueue);
  const here = ['--task-queue', taskQueue, '--json'];
  const operationId = randomUUID();
  expect((await place.run(['init', 'out/repository'])).code).toBe(0);
  writeFileSync(place.path('in', 'other'), 'other content');
  const run = async (...args: string[]) => jsonLines((await place.run([...args, ...here], { env: onTestServer() })).stdout).at(-1);
  expect(await run('batch', 'in/source', 'in/other', '--to', 'out/copies', '--operation-id', operationId, '--metadata', 'job=nightly')).toMatchObject({ success: true });
  const snapshot = await run('snapshot', 'in', '--to', 'out/repository');
  expect(await run('restore', 'out/repository', 'latest', '--to', 'out/restored')).toMatchObject({ success: true });
  expect(await run('batch', 'in/source', 'in/missing', '--to', 'out/copies')).toMatchObject({ success: false });
  worker.child.kill('SIGTERM');
  const log = jsonLines((await worker.end).stderr);
  const of = (step: string, fields: object) => expect(log).toContainEqual(expect.objectContaining({ step, msg: 'Step finished', attempt: 1, durationMs: expect.any(Number) as number, ...fields }));
  const about = { operationId, backupDir: place.path('out', 'copies'), metadata: { job: 'nightly' } };
  of('planBatch', { ...about, sources: [place.path('in', 'source'), place.path('in', 'other')], sourceCount: 2, result: expect.objectContaining({ files: 2, sizeBytes: 20, chunks: 1 }) as object });
  of('backupChunk', { ...about, chunk: 0, pass: 0, totalFiles: 2, result: expect.objectContaining({ counts: { backedUp: 2, unchanged: 0, failed: 0 }, sizeBytes: 20 }) as object });
  of('snapshotChunk', { operationId: snapshot?.operationId, repository: place.path('out', 'repository'), chunk: 0, result: expect.objectContaining({ counts: { backedUp: 2, unchanged: 0, failed: 0 } }) as object });
  of('restoreChunk', { repository: place.path('out', 'repository'), target: place.path('out', 'restored'), snapshot: snapshot?.snapshot, result: expect.objectContaining({ sizeBytes: 20 }) as object });
  of('finishRestore', { result: expect.objectContaining({ failed: 0 }) as object });
  of('backupChunk', { result: expect.objectContaining({ counts: { backedUp: 0, unchanged: 1, failed: 1 } }) as object });
  expect(JSON.stringify(log)).not.toContain('other content');
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

test('a worker is alive without a server, and ready only with one that answers', async () => {
  const way = await new Way().listen();
  try {
    const healthPort = await freePort();
    const worker = await startWorker('--task-queue', `test-${randomUUID()}`, '--health-port', String(healthPort), '--address', way.address);
    const at = (path: string) => status(`http://127.0.0.1:${healthPort}${path}`);
    expect([await at('/livez'), await at('/healthz'), await at('/readyz')]).toEqual([200, 200, 200]);
    way.cut();
    await until(async () => (await at('/readyz')) === 503, 'the worker is not ready');
    expect([await at('/livez'), await at('/healthz')]).toEqual([200, 200]);
    way.mend();
    await until(async () => (await at('/readyz')) === 200, 'the worker is ready again');
    worker.child.kill('SIGTERM');
    expect((await worker.end).code).toBe(0);
  } finally {
    await way.close();
  }
}, 120_000);

test('a port for health that is taken is wrong usage', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  try {
    const { code, stderr } = await place.run(['worker', '--source-root', 'in', '--destination-root', 'out', '--health-port', String(port)], { env: onTestServer() });
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining(`--health-port ${port} cannot be listened on`) as string });
  } finally {
    taken.close();
  }
}, 120_000);

test('without a named server a worker serves that of its state directory, and keeps it', async () => {
  const server = place.start(['server', '--json']);
  await until(() => server.printed().includes('"server"'), 'the server runs');
  const address = jsonLines(server.printed())[0]?.address;
  const worker = place.start(['worker', '--source-root', 'in', '--destination-root', 'out', '--task-queue', 'own']);
  await until(() => worker.printed().includes('Worker started'), 'the worker starts');
  expect(jsonLines(worker.printed()).find(({ msg }) => msg === 'Worker started')).toMatchObject({ address });
  // The server's own command is not its last user.
  server.child.kill('SIGTERM');
  await server.end;
  expect((await place.run(['file', 'in/source', 'out/target', '--task-queue', 'own'])).code).toBe(0);
  worker.child.kill('SIGTERM');
  expect((await worker.end).code).toBe(0);
  await place.serverEnd();
}, 120_000);

test('a worker without any server brings its own, and roots that are not there are said', async () => {
  const worker = place.start(['worker', '--source-root', 'in', '--source-root', 'missing', '--destination-root', 'in/source', '--task-queue', 'own']);
  await until(() => worker.printed().includes('Worker started'), 'the worker starts');
  worker.child.kill('SIGTERM');
  const { code, stderr } = await worker.end;
  expect(code).toBe(0);
  const log = jsonLines(stderr);
  for (const root of [place.path('missing'), place.path('in', 'source')]) expect(log).toContainEqual(expect.objectContaining({ root, msg: 'A root is no directory that is there: what is asked for below it fails until it is' }));
  expect(log.filter(({ root }) => root !== undefined)).toHaveLength(2);
  await place.serverEnd();
}, 120_000);

async function status(url: string): Promise<number | undefined> {
  try {
    return (await fetch(url)).status;
  } catch {
    // Nobody listens yet.
    return undefined;
  }
}
