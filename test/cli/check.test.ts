import * as fs from 'node:fs';
import { join } from 'node:path';
import { initRepository } from '../../src/storage/snapshot/repository';
import { copyPath, flip } from '../helpers/check';
import { contentOf } from '../helpers/files';
import { writeSnapshot } from '../helpers/snapshot-fixture';
import { createWorkplace, jsonLines, type Workplace } from './run-command';

let place: Workplace;
let first: string;
let second: string;
const repository = (): string => place.path('repository');
const source = (name = ''): string => join(place.path('source'), name);
const copy = (name: string, snapshot = second): string => copyPath(repository(), snapshot, source(name));

beforeEach(() => {
  place = createWorkplace();
  fs.mkdirSync(source('sub'), { recursive: true });
  for (const name of ['a', 'b', 'sub/c']) fs.writeFileSync(source(name), contentOf(name, 5000));
  initRepository(repository());
  first = writeSnapshot(repository(), source(), { startedAt: new Date('2026-01-01T00:00:00Z') });
  fs.writeFileSync(source('b'), 'changed');
  second = writeSnapshot(repository(), source(), { startedAt: new Date('2026-01-02T00:00:00Z'), parent: first });
});

afterEach(() => place.remove());

test('a repository in which nothing is wrong is said to be so, without a server', async () => {
  const { code, stdout, stderr } = await place.run(['check', '--read-data', repository()]);
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^2 snapshots with \d+ entries checked, 4 files with 14\.655 KiB read from the (device|cache)\nno errors were found\n$/) as string });
  expect(stderr).toContain('check records, files and metadata of 2 snapshots, and read all files\n');
  expect(fs.existsSync(place.stateDirectory)).toBe(false);
});

test('every error is one line on standard output, and the exit code says that there are some', async () => {
  flip(copy('a'), 7);
  fs.writeFileSync(copy('new\nline', first), 'x');
  const { code, stdout } = await place.run(['check', repository(), '--read-data=100%']);
  const lines = stdout.split('\n');
  const digest = /: expected sha256 [0-9a-f]{64}, found sha256 [0-9a-f]{64}$/;
  expect(lines.filter((line) => digest.test(line)).map((line) => line.replace(digest, '')).sort()).toEqual([first, second].map((name) => `damaged: ${name}/data${source('a')}`));
  expect(lines).toContain(`extra: ${first}/data${source('new\\nline')}: expected nothing, found a regular file`);
  expect(lines.slice(-2)).toEqual(['4 errors were found: 2 damaged, 1 extra, 1 wrongMetadata', '']);
  expect(code).toBe(1);
});

test('without --read-data contents are not looked at, and only the snapshots that are named', async () => {
  flip(copy('a'), 7);
  fs.unlinkSync(copy('b', first));
  const { code, stdout } = await place.run(['check', repository(), 'latest']);
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^1 snapshot with .*\nno errors were found\n$/) as string });
  expect(await place.run(['check', repository(), first.slice(0, 10)])).toMatchObject({ code: 1, stdout: expect.stringContaining(`missing: ${first}/data${source('b')}: expected a regular file, found nothing`) as string });
});

test('with --json each error is an object, and the last one has the counts', async () => {
  flip(copy('b'), 0);
  const { code, stdout } = await place.run(['check', '--json', '--read-data=1/1', repository()]);
  const objects = jsonLines(stdout).filter(({ messageType }) => messageType !== 'status');
  expect(objects).toMatchObject([
    { messageType: 'problem', kind: 'damaged', snapshot: second, path: `data${source('b')}`, expected: expect.stringMatching(/^sha256 /) as string },
    { messageType: 'result', snapshots: 2, problems: 1, kinds: { damaged: 1, missing: 0 }, readFiles: 4 },
  ]);
  expect(code).toBe(1);
});

test('with --repair what can be is repaired, and the rest is said', async () => {
  writeSnapshot(repository(), source(), { startedAt: new Date('2026-01-03T00:00:00Z') });
  flip(copy('a'), 7);
  const repaired = await place.run(['check', '--repair', '--read-data', repository()]);
  expect(repaired).toMatchObject({ code: 0, stdout: expect.stringMatching(/\n2 errors were found: 2 damaged\nall of it was repaired\n$/) as string });
  expect(repaired.stdout.split('\n').filter((line) => line.startsWith('repaired: '))).toEqual([first, second].map((name) => `repaired: ${name}/data${source('a')}`));
  fs.rmSync(copy('b', first));
  fs.chmodSync(copy('sub/c', first), 0o600);
  const partly = await place.run(['check', '--repair', '--json', repository()]);
  expect(jsonLines(partly.stdout).filter(({ messageType }) => messageType === 'notRepaired')).toMatchObject([{ kind: 'missing', path: `data${source('b')}`, reason: 'no other intact copy was found' }]);
  // The directory that it is missing from has its time again, and the mode is the same file's in both snapshots.
  expect(jsonLines(partly.stdout).at(-1)).toMatchObject({ messageType: 'result', problems: 4, repaired: 3 });
  expect(partly.code).toBe(1);
});

test.each<[string, (repository: string) => string[], number, string]>([
  ['no repository', (path) => [`${path}-not`], 10, 'There is no repository in'],
  ['no such snapshot', (path) => [path, 'nothing'], 10, 'none is called "nothing"'],
  ['a share that is none', (path) => [path, '--read-data=8/7'], 2, 'not "8/7"'],
  ['a percentage of nothing', (path) => [path, '--read-data=0%'], 2, 'not "0%"'],
  ['no argument', () => ['--read-data'], 2, "missing required argument 'repository'"],
])('is refused: %s', async (_title, args, code, message) => {
  expect(await place.run(['check', ...args(repository())])).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(message) as string });
});
