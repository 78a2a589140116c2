import { writeFileSync } from 'node:fs';
import { createWorkplace, jsonLines, until, type Workplace } from './run-command';

/** Two backups that every test here asks about; their server has ended by the time it does. */
let place: Workplace;
let good: Record<string, unknown>;
let bad: Record<string, unknown>;

beforeAll(async () => {
  place = createWorkplace();
  writeFileSync(place.path('source'), 'x'.repeat(5000));
  good = await resultOf(['file', 'source', 'target']);
  bad = await resultOf(['file', 'no\nsuch file', 'other']);
});

afterAll(() => place.remove());

async function resultOf(args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await place.run([...args, '--json']);
  const last = jsonLines(stdout).at(-1);
  if (last === undefined) throw new Error(`${args.join(' ')} printed nothing`);
  return last;
}

test('before the first backup there are none', async () => {
  const elsewhere = createWorkplace();
  try {
    expect(await elsewhere.run(['runs'])).toMatchObject({ code: 0, stdout: 'No backups yet.\n', stderr: '' });
    expect((await elsewhere.run(['stats'])).stdout).toContain('Success rate: 0.0 %');
  } finally {
    await elsewhere.remove();
  }
});

test('runs are listed newest first, with names that fit one line', async () => {
  const { code, stdout, stderr } = await place.run(['runs']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [head, newest, oldest, ...rest] = stdout.trimEnd().split('\n');
  expect(head).toMatch(/^Started \(UTC\) +Kind +State +Size +Source +Target +Operation$/);
  expect(newest).toMatch(/ failed +0 B /);
  expect(newest).toContain(`${place.path('no\\nsuch file')} `);
  expect(newest).toContain(String(bad.operationId));
  expect(oldest).toMatch(/ committed +4\.883 KiB /);
  expect(oldest).toContain(String(good.operationId));
  expect(rest).toEqual([]);
});

test('runs are limited on request, and each is an object with --json', async () => {
  const { runs } = await resultOf(['runs', '--limit', '1']);
  expect(runs).toEqual([expect.objectContaining({ operationId: bad.operationId, status: 'FAILED', state: 'failed', backupPath: place.path('other') })]);
});

test('a run is found by its operation id and by its workflow id', async () => {
  const byOperation = await place.run(['status', String(good.operationId)]);
  expect(byOperation).toMatchObject({ code: 0, stderr: '' });
  expect(byOperation.stdout).toContain(`Operation: ${String(good.operationId)}\nState:     committed (COMPLETED)\nSource:    ${place.path('source')}\n`);
  const byWorkflow = await resultOf(['status', String(bad.workflowId)]);
  expect(byWorkflow).toMatchObject({ messageType: 'status', operationId: bad.operationId, state: 'failed', status: 'FAILED', pendingSteps: [] });
});

test.each(['00000000-0000-4000-8000-000000000000', 'file-backup-of-nothing'])('an id that nobody knows ends with exit code 1 and the way out: %s', async (id) => {
  for (const command of ['status', 'cancel']) {
    const { code, stdout, stderr } = await place.run([command, id]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(`file-backup: No backup run "${id}" is known to the server; list them with "file-backup runs".\n`);
  }
});

test('the reason of a failure is one line, and the first digits of an id are enough', async () => {
  const { stdout } = await place.run(['status', String(bad.operationId).slice(0, 8)]);
  expect(stdout).toContain(`State:     failed (FAILED)\nReason:    SourceNotFound: `);
  expect(stdout.split('\n').find((line) => line.startsWith('Reason:'))).toContain(place.path('no\\nsuch file'));
});

test('statistics survive the end of the server', async () => {
  const expected = { messageType: 'stats', totalBackups: 2, successfulBackups: 1, failedBackups: 1, runningBackups: 0, totalBatches: 0, totalBytesBackedUp: 5000, successRatePercent: 50 };
  await place.serverEnd();
  expect(await resultOf(['stats'])).toMatchObject(expected);
  await place.serverEnd();
  expect(await resultOf(['stats'])).toMatchObject(expected);
  const { stdout } = await place.run(['stats']);
  expect(stdout).toBe('Total:        2\nSuccessful:   1\nFailed:       1\nRunning:      0\nBatches:      0 (0 successful, 0 partial, 0 failed), 0 running\nBatch files:  0 backed up, 0 failed\nSnapshots:    0 (0 complete, 0 partial, 0 failed), 0 running\nBytes:        5000 (4.883 KiB)\nSuccess rate: 50.0 %\n');
});

test('cancelling a run that has ended says so', async () => {
  const { code, stdout } = await place.run(['cancel', String(good.operationId)]);
  expect(code).toBe(0);
  expect(stdout).toBe(`${String(good.operationId)} had ended already (committed).\n`);
});

test('a run is seen and cancelled with no worker alive; the next worker ends it', async () => {
  const elsewhere = createWorkplace();
  try {
    writeFileSync(elsewhere.path('source'), 'content');
    const server = elsewhere.start(['server', '--json']);
    await until(() => server.printed().includes('\n'), 'the server is ready');
    const { address } = jsonLines(`${server.printed().split('\n')[0] ?? ''}\n`)[0] as { address: string };
    const file = elsewhere.start(['file', 'source', 'target', '--task-queue', 'later', '--json']);
    await until(() => file.printed().includes('"started"'), 'the backup starts');
    const { operationId } = jsonLines(`${file.printed().split('\n')[0] ?? ''}\n`)[0] as { operationId: string };

    const id = await untilVisible(elsewhere, operationId);
    const status = await elsewhere.run(['status', id]);
    expect(status.stdout).toContain('State:     interrupted (RUNNING)\n');
    expect(status.stdout).toContain('Worker:    none polls the queue later: the same command, or a worker of the queue, continues the run\n');
    expect((await elsewhere.run(['stats'])).stdout).toContain('Running:      1\n');
    const cancelled = await elsewhere.run(['cancel', id]);
    expect(cancelled).toMatchObject({ code: 0, stdout: `Cancellation of ${operationId} requested; no worker polls its queue later: it ends when one comes and has undone it (file-backup worker --task-queue later).\n` });

    const worker = elsewhere.start(['worker', '--address', address, '--task-queue', 'later', '--source-root', '.', '--destination-root', '.']);
    const { code, stdout } = await file.end;
    expect(code).toBe(1);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ messageType: 'result', success: false, errorCode: 'Cancelled', operationId });
    worker.child.kill('SIGTERM');
    server.child.kill('SIGINT');
    expect(await Promise.all([worker.end, server.end])).toMatchObject([{ code: 0 }, { code: 0 }]);
  } finally {
    await elsewhere.remove();
  }
}, 120_000);

/** Looking a run up by its operation id takes the server a moment. */
async function untilVisible(at: Workplace, operationId: string): Promise<string> {
  await until(async () => (await at.run(['status', operationId])).code === 0, 'the run can be looked up');
  return operationId;
}
