import { mkdirSync, readFileSync, truncateSync, writeFileSync, existsSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { COMMAND, createWorkplace, onTestServer, startProcess, until, type CommandEnd, type Workplace } from './run-command';

jest.setTimeout(180_000);

const hasFullDevice = existsSync('/dev/full');

let place: Workplace;

beforeAll(async () => {
  place = createWorkplace();
  mkdirSync(place.path('source'));
  writeFileSync(place.path('source', 'file'), 'content');
  expect((await place.run(['init', 'repository'])).code).toBe(0);
  for (let night = 0; night < 2; night += 1) {
    const { code, stderr } = await place.run(['snapshot', 'source', '--to', 'repository'], { env: onTestServer() });
    expect({ code, stderr }).toMatchObject({ code: 0 });
  }
});

afterAll(() => place.remove());

/** Runs `file-backup` in a shell: `$file_backup` is the command, `status` its exit code. */
function shell(script: string): Promise<CommandEnd> {
  return startProcess('bash', ['-c', script], { cwd: place.directory, env: { ...process.env, ...onTestServer(), FILE_BACKUP_STATE_DIR: place.stateDirectory, file_backup: `${process.execPath} ${COMMAND}` } }).end;
}

const commands: readonly (readonly [string, string])[] = [
  ['--help', '--help'],
  ['--version', '--version'],
  ['init', 'init fresh'],
  ['snapshots', 'snapshots repository'],
  ['ls', 'ls repository'],
  ['ls --json', 'ls repository --json'],
  ['diff', 'diff repository latest latest'],
  ['check', 'check repository'],
  ['check --json', 'check repository --json'],
  ['prune', 'prune repository --keep-last 9 --dry-run'],
  ['restore --dry-run', 'restore repository --to restored --dry-run'],
  ['snapshot --dry-run', 'snapshot source --to repository --dry-run'],
  ['runs', 'runs'],
  ['stats', 'stats'],
  ['schedule list', 'schedule list'],
  ['file', 'file source/file copy'],
  ['file --json', 'file source/file copy-json --json'],
  ['batch', 'batch source/file --to copies'],
  ['snapshot', 'snapshot source --to repository'],
  ['restore', 'restore repository --to restored-in-full'],
];

(hasFullDevice ? test : test.skip).each(commands)('output that cannot be written is one line and exit code 1: %s', async (_name, args) => {
  const { code, stderr } = await shell(`$file_backup ${args} > /dev/full`);
  expect(code).toBe(1);
  const said = stderr.split('\n').filter((line) => line.startsWith('file-backup: '));
  expect(said).toEqual(['file-backup: Standard output cannot be written (ENOSPC: no space left on device, write): what was done stays done, but its report is incomplete.']);
  expect(stderr).not.toMatch(/^ +at /m);
});

(hasFullDevice ? test : test.skip)('the exit code of a command that is not content outlasts that its output cannot be written', async () => {
  const { code, stderr } = await shell('$file_backup batch source/file source/missing --to partly > /dev/full');
  expect(code).toBe(3);
  expect(stderr).toContain('Standard output cannot be written');
});

(hasFullDevice ? test : test.skip)('a server whose addresses cannot be printed ends at once', async () => {
  const { code, stderr } = await shell('env -u TEMPORAL_ADDRESS TEMPORAL_CLI_PATH="$TEST_TEMPORAL_CLI" $file_backup server > /dev/full');
  expect(code).toBe(1);
  expect(stderr).toContain('Standard output cannot be written');
});

test('output of which only the beginning can be written is no success', async () => {
  const { code, stderr } = await shell('ulimit -f 1; $file_backup file --help > help');
  expect(readFileSync(place.path('help')).length).toBe(1024);
  expect(code).toBe(1);
  expect(stderr).toContain('Standard output cannot be written (EFBIG');
});

test('a reader that has gone is no error', async () => {
  const { stdout } = await shell('$file_backup --help | head -n 1; echo "${PIPESTATUS[0]}"');
  expect(stdout).toBe('Usage: file-backup [options] [command]\n0\n');
});

test.each([
  ['text', ''],
  ['objects', '--json'],
  ['logs', '--log-level debug'],
])('a backup goes on to its end when nobody reads its progress any more: %s', async (name, options) => {
  writeFileSync(place.path(`large-${name}`), '');
  truncateSync(place.path(`large-${name}`), 300 * 1024 ** 2);
  const { stdout } = await shell(`$file_backup file large-${name} copy-of-${name} --no-verify ${options} 2>&1 | head -n 1; echo "\${PIPESTATUS[0]}"`);
  expect(stdout.split('\n').at(-2)).toBe('0');
  expect(readFileSync(place.path(`copy-of-${name}`)).length).toBe(300 * 1024 ** 2);
});

test('a backup that fails says so by its exit code though nobody reads', async () => {
  const { stdout } = await shell('$file_backup file source/missing copy-of-nothing 2>&1 >&- | true; echo "${PIPESTATUS[0]}"');
  expect(stdout).toBe('1\n');
});

(hasFullDevice ? test : test.skip).each([
  ['a backup', 'file source/file copy-2 --log-level debug', 0],
  ['a usage error', 'file source/file', 2],
  ['a listing', 'snapshots repository', 0],
])('a standard error that cannot be written ends nothing: %s', async (_name, args, expected) => {
  expect(await shell(`$file_backup ${args} 2> /dev/full`)).toMatchObject({ code: expected });
});

(hasFullDevice ? test : test.skip)('a worker whose log cannot be written serves on', async () => {
  const taskQueue = `test-${randomUUID()}`;
  const { code, stdout } = await shell(`
    $file_backup worker --source-root source --destination-root . --task-queue ${taskQueue} 2> /dev/full &
    $file_backup file source/file copy-by-worker --task-queue ${taskQueue} || exit 7
    kill -TERM $!; wait $!; echo "worker: $?"`);
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/worker: 0\n$/) as string });
  await until(() => existsSync(place.path('copy-by-worker')), 'the worker has made the copy');
});
