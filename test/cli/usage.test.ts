import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { freePort } from '../../src/server/ports';
import { version } from '../../src/version';
import { createWorkplace, jsonLines, type Workplace } from './run-command';

let place: Workplace;

beforeAll(() => {
  place = createWorkplace();
  writeFileSync(place.path('source'), 'content');
});

afterEach(() => {
  // None of these commands may have started anything. Who asks a named server has a key.
  expect(existsSync(place.stateDirectory) ? readdirSync(place.stateDirectory) : []).toEqual(existsSync(place.stateDirectory) ? ['payload.key'] : []);
});

afterAll(() => place.remove());

test('the version is printed without a server', async () => {
  expect(await place.run(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
});

const commands = ['', 'file', 'batch', 'init', 'snapshot', 'snapshots', 'ls', 'diff', 'restore', 'check', 'prune', 'schedule', 'schedule create', 'runs', 'status', 'pause', 'resume', 'cancel', 'stats', 'worker', 'server'];

test.each(commands)('help is printed on standard output: file-backup %s', async (name) => {
  const command = name.split(' ').filter((word) => word !== '');
  const { code, stdout, stderr } = await place.run([...command, '--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain(`Usage: ${['file-backup', ...command].join(' ')} [options]`);
});

test.each(['--version', 'init --help', 'snapshots --help', 'ls --help', 'diff --help', 'check --help', 'prune --help'])('what needs no server loads neither client nor worker: file-backup %s', async (line) => {
  const report = place.path('loaded.cjs');
  writeFileSync(report, `process.on('exit', () => console.error(Object.keys(require.cache).join('\\n')));`);
  const { code, stderr } = await place.run(line.split(' '), { env: { NODE_OPTIONS: `--require ${report}` } });
  expect(code).toBe(0);
  expect(stderr).toContain('/lib/cli/main.js');
  expect(stderr).not.toMatch(/@temporalio\/(client|worker|core-bridge)|@grpc/);
});

test.each([
  ['file', [0, 1, 2, 20, 130]],
  ['snapshot', [0, 1, 2, 3, 10, 20, 130]],
  ['restore', [0, 1, 2, 3, 10, 20, 130]],
])('the help of the %s command lists its exit codes', async (name, codes) => {
  const { stdout } = await place.run([name, '--help']);
  for (const code of codes) expect(stdout).toMatch(new RegExp(`^ +${code} +\\S`, 'm'));
});

test.each([
  ['no command at all', [], 'Usage: file-backup'],
  ['an unknown command', ['restore-everything'], "unknown command 'restore-everything'"],
  ['an unknown option', ['file', 'source', 'target', '--fast'], "unknown option '--fast'"],
  ['a missing argument', ['file', 'source'], "missing required argument 'target'"],
  ['a snapshot to nowhere', ['snapshot', 'source'], "required option '--to <repository>' not specified"],
  ['a size that is none', ['snapshot', 'source', '--to', 'repository', '--max-size', 'huge'], '--max-size must be a size such as 500K or 2G, not "huge"'],
  ['a list of patterns that is not there', ['snapshot', 'source', '--to', 'repository', '--exclude-file', 'missing'], 'The exclude file missing cannot be read'],
  ['a path to restore that is not absolute', ['restore', 'repository', 'latest', 'etc', '--to', 'target'], 'Path etc must be absolute'],
  ['a schedule without a time', ['schedule', 'create', 'nightly', 'source', '--to', 'repository'], '--cron, --every: give either a cron expression or an interval'],
  ['too many arguments', ['file', 'source', 'target', 'more'], 'too many arguments'],
  ['too many retries', ['file', 'source', 'target', '--max-retries', '11'], '--max-retries must be a whole number from 0 to 10, not "11"'],
  ['retries that are no number', ['file', 'source', 'target', '--max-retries', '1e0'], '--max-retries must be a whole number'],
  ['too short a delay', ['file', 'source', 'target', '--retry-delay-ms', '99'], '--retry-delay-ms must be a whole number from 100 to 30000, not "99"'],
  ['an unknown choice', ['file', 'source', 'target', '--verify-from', 'memory'], 'Allowed choices are device, cache'],
  ['metadata without a key', ['file', 'source', 'target', '--metadata', '=value'], '--metadata must be key=value, not "=value"'],
  ['an operation id that is no UUID', ['file', 'source', 'target', '--operation-id', '42'], '--operation-id: Invalid UUID'],
  ['a source that is the target', ['file', 'source', './source'], 'target: must differ from sourcePath'],
  ['a source with a trailing slash', ['file', 'source/', 'target'], 'Source source/ names a directory; give the full path of the file'],
  ['a target with a trailing slash', ['file', 'source', 'folder/'], 'Target folder/ names a directory; give the full path of the file'],
  ['a limit of nothing', ['runs', '--limit', '0'], '--limit must be a whole number from 1 to 100000, not "0"'],
  ['a port that is none', ['server', '--port', '65536'], '--port must be a whole number from 1 to 65535, not "65536"'],
  ['a profile that is not there', ['runs', '--profile', 'nobody'], "Profile 'nobody' not found"],
  ['a worker\'s profile that is not there', ['worker', '--profile', 'nobody', '--source-root', '.', '--destination-root', '.'], "Profile 'nobody' not found"],
  ['a worker that may read nothing', ['worker', '--destination-root', '.'], 'at least one --source-root'],
  ['a worker that may write nothing', ['worker', '--source-root', '.'], 'at least one --destination-root'],
])('usage is refused with exit code 2: %s', async (_what, args, message) => {
  const { code, stdout, stderr } = await place.run(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
  expect(stderr).not.toMatch(/^ +at /m);
});

test('every problem of the input has a readable line of its own', async () => {
  const { code, stderr } = await place.run(['file', 'source', 'source', '--operation-id', '42', '--metadata', `note=${'x'.repeat(2000)}`]);
  expect(code).toBe(2);
  expect(stderr.trimEnd().split('\n')).toEqual([
    'file-backup: --operation-id: Invalid UUID',
    'file-backup: --metadata: must be at most 1500 bytes as JSON',
    'file-backup: target: must differ from sourcePath',
  ]);
});

test('without a Temporal CLI the exit code is 20, and the message names the way out', async () => {
  const { code, stdout, stderr } = await place.run(['runs', '--json'], { env: { TEMPORAL_CLI_PATH: place.path('no-such-program'), FILE_BACKUP_STATE_DIR: place.path('other-state') } });
  expect({ code, objects: jsonLines(stdout) }).toEqual({ code: 20, objects: [expect.objectContaining({ messageType: 'error', errorCode: 'NoTemporalServer' })] });
  expect(stderr).toContain('TEMPORAL_CLI_PATH');
});

test('a named server that does not answer is exit code 20, and its address is in the message', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  const commands = [['file', 'source', 'target'], ['file', 'source', 'target', '--task-queue', 'elsewhere'], ['runs'], ['worker', '--source-root', '.', '--destination-root', '.']];
  // All at once, since one of Temporal's clients takes its time before it gives up.
  for (const { code, stdout, stderr } of await Promise.all(commands.map((args) => place.run(args, { env: { TEMPORAL_ADDRESS: address } })))) {
    expect({ code, stdout }).toEqual({ code: 20, stdout: '' });
    expect(stderr).toContain(`Temporal server ${address} cannot be reached`);
  }
  expect(existsSync(place.path('target'))).toBe(false);
});

test.each([
  ['snapshot', ['snapshot', 'source', '--to', 'repository']],
  ['restore', ['restore', 'repository', '--to', 'target']],
  ['check', ['check', 'repository']],
])('a repository that is not there ends %s with 10, and nothing is made in its place', async (_name, command) => {
  const { code, stderr } = await place.run(command);
  expect(code).toBe(10);
  expect(stderr).toContain(`There is no repository in ${place.path('repository')}. Mount the repository's disk`);
  expect(existsSync(place.path('repository'))).toBe(false);
});
