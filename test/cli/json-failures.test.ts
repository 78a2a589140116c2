import { chmodSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { failureKinds } from '../../src/failures';
import { freePort } from '../../src/server/ports';
import { damage, sha256 } from '../helpers/files';
import { COMMAND, createWorkplace, jsonLines, onTestServer, startProcess, until, type CommandEnd, type Workplace } from './run-command';

jest.setTimeout(180_000);

const nobody = '00000000-0000-4000-8000-000000000000';

let place: Workplace;
let deadAddress: string;

beforeAll(async () => {
  place = createWorkplace();
  deadAddress = `127.0.0.1:${await freePort()}`;
  mkdirSync(place.path('source'));
  mkdirSync(place.path('bin'));
  writeFileSync(place.path('source', 'file'), 'content');
  writeFileSync(place.path('bin', 'file-backup'), `#!/bin/sh\nexec ${process.execPath} ${COMMAND} "$@"\n`);
  chmodSync(place.path('bin', 'file-backup'), 0o755);
  expect((await place.run(['init', 'empty'])).code).toBe(0);
  expect((await place.run(['init', 'damaged'])).code).toBe(0);
  const { code, stdout } = await place.run(['snapshot', 'source', '--to', 'damaged', '--json'], { env: onTestServer() });
  expect(code).toBe(0);
  const snapshot = place.path('damaged', String(jsonLines(stdout).at(-1)?.snapshot));
  const copy = readdirSync(snapshot, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('/source/file')) ?? '';
  chmodSync(join(snapshot, copy), 0o600);
  damage(join(snapshot, copy));
});

afterAll(() => place.remove());

/** What a script finds in the last line. */
function expectFailure({ code, stdout, stderr }: CommandEnd, exitCode: number, errorCode: string): void {
  const last = jsonLines(stdout).at(-1);
  expect({ code, last, stderr }).toMatchObject({ code: exitCode, last: { errorCode, errorMessage: expect.stringMatching(/\S/) as string } });
  expect(jsonLines(stdout).filter((line) => typeof line.errorCode === 'string')).toHaveLength(1);
  expect(Object.keys(failureKinds)).toContain(errorCode);
}

test.each([
  [2, 'InvalidInput', 'an unknown command', ['restore-everything']],
  [2, 'InvalidInput', 'an unknown option', ['file', 'source/file', 'target', '--fast']],
  [2, 'InvalidInput', 'a missing argument', ['file', 'source/file']],
  [2, 'InvalidInput', 'a value that is none', ['runs', '--limit', '0']],
  [2, 'InvalidInput', 'input that contradicts itself', ['file', 'source/file', './source/file']],
  [2, 'InvalidInput', 'nothing to keep', ['prune', 'empty']],
  [2, 'InvalidInput', 'a worker without roots', ['worker']],
  [2, 'InvalidInput', 'a key file that is not there', ['runs', '--payload-key', 'missing']],
  [1, 'SourceNotFound', 'a source that is not there', ['file', 'source/missing', 'target']],
  [1, 'RunNotFound', 'a run that is not there', ['status', nobody]],
  [1, 'RunNotFound', 'a run to be cancelled that is not there', ['cancel', nobody]],
  [1, 'ScheduleNotFound', 'a schedule that is not there', ['schedule', 'pause', 'nobody']],
  [1, 'RepositoryExists', 'a repository that is there', ['init', 'empty']],
  [1, 'SourceNotFound', 'a path that is not in a snapshot', ['ls', 'damaged', 'latest', '/nowhere']],
  [1, 'SnapshotDamaged', 'damage that was found', ['check', 'damaged', '--read-data']],
  [10, 'RepositoryNotFound', 'a repository that is not there', ['snapshots', 'nowhere']],
  [10, 'RepositoryNotFound', 'a snapshot to nowhere', ['snapshot', 'source', '--to', 'nowhere']],
  [10, 'SnapshotNotFound', 'a snapshot that is not there', ['restore', 'empty', 'latest', '--to', 'restored']],
] as const)('with --json exit %i has one object with errorCode %s: %s', async (exitCode, errorCode, _what, args) => {
  expectFailure(await place.run([...args, '--json'], { env: onTestServer() }), exitCode, errorCode);
});

test.each([
  ['file', ['file', 'source/file', 'target']],
  ['batch for a queue', ['batch', 'source/file', '--to', 'copies', '--task-queue', 'elsewhere']],
  ['stats', ['stats']],
  ['worker', ['worker', '--source-root', '.', '--destination-root', '.']],
])('with --json a server that is not there is exit 20 and NoTemporalServer: %s', async (_name, args) => {
  expectFailure(await place.run([...args, '--json'], { env: { TEMPORAL_ADDRESS: deadAddress } }), 20, 'NoTemporalServer');
});

test('with --json an interrupted command is exit 130 and Interrupted', async () => {
  writeFileSync(place.path('large'), '');
  truncateSync(place.path('large'), 1024 ** 3);
  const running = place.start(['file', 'large', 'copy', '--json'], { env: onTestServer() });
  await until(() => running.printed().includes('"status"'), 'the command is under way');
  running.child.kill('SIGINT');
  expectFailure(await running.end, 130, 'Interrupted');
});

test('what is no option is no wish for objects', async () => {
  const { code, stdout } = await place.run(['ls', '--', 'nowhere', 'latest', '--json']);
  expect({ code, stdout }).toEqual({ code: 10, stdout: '' });
});

describe('the script of the README', () => {
  const hasJq = spawnSync('jq', ['--version']).status === 0;
  const [, script = ''] = /## Use it as a script\n\n```bash\n([^`]+)```/.exec(readFileSync(resolve(__dirname, '../../README.md'), 'utf8')) ?? [];

  function runScript(source: string, env: Record<string, string>): Promise<CommandEnd> {
    const own = script.replace('/etc/important.conf', source).replace('/backups/important.conf', place.path('important.conf'));
    return startProcess('bash', ['-c', own], { cwd: place.directory, env: { ...process.env, ...env, FILE_BACKUP_STATE_DIR: place.stateDirectory, PATH: `${place.path('bin')}:${process.env.PATH}` } }).end;
  }

  (hasJq ? test : test.skip).each([
    ['a success', 'source/file', `${sha256('content')}\n`],
    ['a failure', 'source/missing', expect.stringMatching(/^SourceNotFound: \S.*\n$/) as string],
    ['wrong usage', 'source/', expect.stringMatching(/^InvalidInput: Source source\/ names a directory/) as string],
  ])('tells %s for what it is', async (_what, source, expected) => {
    expect(script).toContain('jq -r');
    expect(await runScript(source, onTestServer())).toMatchObject({ stdout: expected });
  });

  (hasJq ? test : test.skip)('tells that there is no server', async () => {
    expect((await runScript('source/file', { TEMPORAL_ADDRESS: deadAddress })).stdout).toMatch(/^NoTemporalServer: /);
  });
});
