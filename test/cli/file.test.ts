import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { createWorkplace, COMMAND, jsonLines, startProcess, until, type Workplace } from './run-command';

let place: Workplace;

beforeEach(() => {
  place = createWorkplace();
});

afterEach(() => place.remove());

test('a file is backed up with nothing but this command: the result on standard output, the rest on standard error', async () => {
  writeFileSync(place.path('source'), 'content\n'.repeat(1000), { mode: 0o640 });
  const { code, stdout, stderr } = await place.run(['file', place.path('source'), place.path('target')]);
  expect(code).toBe(0);
  expect(stdout.split('\n')).toEqual([
    `Backed up ${place.path('source')}`,
    `       to ${place.path('target')}`,
    expect.stringMatching(/^ +7\.813 KiB, verified by reading it back from the (device|cache), /) as string,
    expect.stringMatching(/^ +SHA-256 [0-9a-f]{64}$/) as string,
    '',
  ]);
  expect(stderr).toMatch(/^Web UI: http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\/file-backup-/m);
  expect(readFileSync(place.path('target'))).toEqual(readFileSync(place.path('source')));
  expect(readdirSync(place.directory).sort()).toEqual(['source', 'target']);
  await place.serverEnd();
});

test('relative paths are meant from where the command runs, and missing directories are created', async () => {
  mkdirSync(place.path('here'));
  writeFileSync(place.path('here', 'source'), 'content');
  const { code, stdout } = await place.run(['file', './source', '../there/deeper/target'], { cwd: place.path('here') });
  expect(code).toBe(0);
  expect(stdout).toContain(`to ${place.path('there', 'deeper', 'target')}\n`);
  expect(readFileSync(place.path('there', 'deeper', 'target'), 'utf8')).toBe('content');
});

test('a missing source ends with exit code 1, its type and a hint, and nothing is created', async () => {
  const { code, stdout, stderr } = await place.run(['file', 'no-such-file', 'new/target']);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain('Backup failed: SourceNotFound: ');
  expect(stderr).toContain(`${place.path('no-such-file')} failed: ENOENT. Check the source path.\nNothing had been changed.\n`);
  expect(existsSync(place.path('new'))).toBe(false);
});

test('with --json every line of standard output is an object, and the last one is the result', async () => {
  writeFileSync(place.path('source'), 'content');
  const operationId = '11111111-2222-4333-8444-555555555555';
  const { code, stdout } = await place.run(['file', 'source', 'target', '--json', '--operation-id', operationId, '--metadata', 'reason=because a=b', '--no-verify']);
  expect(code).toBe(0);
  const lines = jsonLines(stdout);
  expect(lines[0]).toMatchObject({ messageType: 'started', operationId, attached: false });
  expect(lines.slice(1, -1).every(({ messageType }) => messageType === 'status')).toBe(true);
  const last = lines.at(-1);
  expect(last).toMatchObject({ messageType: 'result', success: true, operationId, backupSizeBytes: 7, verified: false, checksumMatch: null });
  expect(last?.runId).toBe(lines[0]?.runId);
  expect(last?.webUi).toContain(last?.workflowId);
});

test.each([
  ['runs', ['runs', '--json']],
  ['file', ['file', 'source', 'target', '--json']],
])('a reader that has gone is no error, and does not stop the work: %s', async (_what, args) => {
  writeFileSync(place.path('source'), 'content');
  const { child, end } = place.start(args);
  child.stdout?.destroy();
  expect(await end).toMatchObject({ code: 0, signal: null, stderr: expect.not.stringContaining('EPIPE') as string });
  expect(existsSync(place.path('target'))).toBe(args[0] === 'file');
});

test('with --json a failed backup is a result too', async () => {
  const { code, stdout } = await place.run(['file', 'no-such-file', 'target', '--json']);
  expect(code).toBe(1);
  expect(jsonLines(stdout).at(-1)).toMatchObject({ messageType: 'result', success: false, errorCode: 'SourceNotFound', rollback: { status: 'notNeeded' } });
});

test('written in place, the result says so by having no transaction', async () => {
  writeFileSync(place.path('source'), 'content');
  const { code, stdout } = await place.run(['file', 'source', 'target', '--json', '--no-atomic']);
  expect(code).toBe(0);
  expect(jsonLines(stdout).at(-1)).toMatchObject({ publishedBy: 'inPlace', transactionId: null, rollback: { status: 'unsupported' } });
});

test('a file name that would play tricks on the terminal is printed escaped', async () => {
  const name = 'two\nlines \u001b[31mred\u0007\u009b0m';
  writeFileSync(place.path(name), 'content');
  const { code, stdout, stderr } = await place.run(['file', name, `${name}.copy`]);
  expect(code).toBe(0);
  expect(readFileSync(place.path(`${name}.copy`), 'utf8')).toBe('content');
  expect(stdout.split('\n')).toHaveLength(5);
  expect(stdout).toContain('two\\nlines \\u001b[31mred\\u0007');
  // eslint-disable-next-line no-control-regex -- control characters are what must not be there
  expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
});

test('a hostile name is printed escaped when its backup fails or its target is refused, too', async () => {
  const name = 'no\nsuch\u001b[2Jfile';
  const failed = await place.run(['file', name, 'target']);
  expect(failed.code).toBe(1);
  const refused = await place.run(['file', 'source', `${name}/`]);
  expect(refused.code).toBe(2);
  for (const { stderr } of [failed, refused]) {
    expect(stderr).toContain('no\\nsuch\\u001b[2Jfile');
    expect(stderr).not.toContain('\u001b');
  }
});

test('the same command twice at once is one operation, and both say that it is done', async () => {
  writeFileSync(place.path('source'), '');
  truncateSync(place.path('source'), 1024 ** 3);
  const command = ['file', 'source', 'target', '--json'];
  const ends = await Promise.all([place.run(command), place.run(command)]);
  expect(ends.map(({ code }) => code)).toEqual([0, 0]);
  const started = ends.map(({ stdout }) => jsonLines(stdout)[0]);
  expect(started.map((line) => line?.attached).sort()).toEqual([false, true]);
  expect(started[0]?.runId).toBe(started[1]?.runId);
  const results = ends.map(({ stdout }) => jsonLines(stdout).at(-1));
  expect(results[0]).toMatchObject({ messageType: 'result', success: true });
  expect(results[1]).toEqual(results[0]);
  expect(readdirSync(place.directory).sort()).toEqual(['source', 'target']);
  await place.serverEnd();
}, 120_000);

test('another source for a target that is being written is turned away, and the first operation is not harmed', async () => {
  writeFileSync(place.path('source'), 'content');
  writeFileSync(place.path('other'), 'other content');
  // Nobody serves this queue, so the first operation lasts for as long as it takes.
  const first = place.start(['file', 'source', 'target', '--task-queue', 'nobody', '--json']);
  await until(() => first.printed().includes('"started"'), 'the first operation starts');
  const { code, stdout, stderr } = await place.run(['file', 'other', 'target', '--task-queue', 'nobody']);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  const [started] = jsonLines((first.printed().split('\n')[0] ?? '') + '\n');
  expect(stderr).toContain(`Target ${place.path('target')} is busy: operation ${String(started?.operationId)} is writing it`);

  first.child.kill('SIGINT');
  const end = await first.end;
  expect(end.code).toBe(130);
  expect(jsonLines(end.stdout).at(-1)).toMatchObject({ messageType: 'interrupted', operationId: started?.operationId });
});

test('interrupted while other workers do the work, the command says that they go on', async () => {
  writeFileSync(place.path('source'), 'content');
  const command = place.start(['file', 'source', 'target', '--task-queue', 'nobody']);
  await until(() => command.printed().includes('waiting'), 'the command waits for a worker');
  command.child.kill('SIGINT');
  const { code, stderr } = await command.end;
  expect(code).toBe(130);
  expect(stderr).toMatch(/^Interrupted\. Operation [0-9a-f-]{36} is not finished: the workers of nobody go on with it\.$/m);
});

const script = spawnSync('script', ['--version'], { encoding: 'utf8' });
const onTerminal = script.status === 0 && script.stdout.includes('util-linux') ? test : test.skip;

onTerminal('on a terminal progress is a bar that is gone at the end', async () => {
  writeFileSync(place.path('source'), 'content');
  const plain = await place.run(['file', 'source', 'target']);
  expect(plain.stderr).not.toContain('\u001b');
  const env = { ...process.env, FILE_BACKUP_STATE_DIR: place.stateDirectory, TEMPORAL_CLI_PATH: process.env.TEST_TEMPORAL_CLI, TERM: 'xterm' };
  const line = `'${process.execPath}' '${COMMAND}' file source target`;
  const { code, stdout } = await startProcess('script', ['--quiet', '--return', '--command', line, '/dev/null'], { cwd: place.directory, env }).end;
  expect(code).toBe(0);
  expect(stdout).toContain('starting |');
  expect(stdout).toMatch(/Backed up .*source/);
  // The cursor that the bar hid is shown again.
  expect(stdout.lastIndexOf('\u001b[?25h')).toBeGreaterThan(stdout.lastIndexOf('\u001b[?25l'));
});
