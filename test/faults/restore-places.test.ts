import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWorkplace, jsonLines, type Workplace } from '../cli/run-command';
import { exactTree } from '../helpers/exact-tree';

jest.setTimeout(300_000);

const mayMount = process.geteuid?.() === 0 && spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0;
if (!mayMount) console.log('This user may not mount: restores to several file systems are not tested.');
const testWithMounts = mayMount ? test : test.skip;

let place: Workplace;
const mounted: string[] = [];

beforeEach(() => {
  place = createWorkplace();
});

afterEach(async () => {
  for (const directory of mounted.splice(0).reverse()) execFileSync('umount', [directory]);
  await place.remove();
});

function mount(args: readonly string[], directory: string): void {
  fs.mkdirSync(directory, { recursive: true });
  execFileSync('mount', [...args, directory]);
  mounted.push(directory);
}

function makeTree(): void {
  for (const name of ['files/disk', 'files/bound', 'files/plain']) fs.mkdirSync(place.path(name), { recursive: true });
  for (const name of ['disk/one', 'bound/two', 'plain/three']) fs.writeFileSync(place.path('files', name), `content of ${name}`);
  fs.linkSync(place.path('files', 'bound', 'two'), place.path('files', 'bound', 'again'));
  fs.symlinkSync('one', place.path('files', 'disk', 'link'));
}

interface Previewed {
  readonly messageType: string;
  readonly action?: string;
}

testWithMounts('other file systems below the target, and further mounts of its own, are restored to as the preview says', async () => {
  mount(['-t', 'tmpfs', 'tmpfs'], place.path('files', 'disk'));
  fs.mkdirSync(place.path('bound'));
  mount(['--bind', place.path('bound')], place.path('files', 'bound'));
  makeTree();
  await place.run(['init', 'repository']);
  expect(await place.run(['snapshot', 'files', '--to', 'repository'])).toMatchObject({ code: 0 });
  const before = exactTree(place.path('files'));
  for (const name of ['disk/one', 'disk/link', 'bound/two', 'bound/again', 'plain/three']) fs.rmSync(place.path('files', name));
  const preview = await place.run(['restore', 'repository', 'latest', place.path('files'), '--to', '/', '--dry-run', '--json']);
  expect(jsonLines(preview.stdout).filter((line) => (line as unknown as Previewed).action === 'conflict')).toEqual([]);
  expect(await place.run(['restore', 'repository', 'latest', place.path('files'), '--to', '/'])).toMatchObject({ code: 0 });
  expect(exactTree(place.path('files'))).toEqual(before);
});

testWithMounts('a read-only file system below the target fails by name, before the run and in it', async () => {
  makeTree();
  await place.run(['init', 'repository']);
  expect(await place.run(['snapshot', 'files', '--to', 'repository'])).toMatchObject({ code: 0 });
  const closed = join(place.path('target'), place.path('files', 'disk'));
  mount(['-t', 'tmpfs', '-o', 'ro', 'tmpfs'], closed);
  const preview = await place.run(['restore', 'repository', '--to', 'target', '--dry-run']);
  expect([preview.code, preview.stderr]).toEqual([3, expect.stringContaining(`conflict ${place.path('files', 'disk', 'one')}, 19 bytes: ${closed} is on a file system that is mounted read-only`)]);
  const run = await place.run(['restore', 'repository', '--to', 'target', '--max-retries', '0']);
  expect([run.code, `${run.stdout}${run.stderr}`]).toEqual([3, expect.stringContaining(`${closed} is on a file system that is mounted read-only`)]);
  expect(preview.stdout).toContain('and fail on 3');
  expect(run.stdout).toMatch(/Failed:\s+3\b/);
  expect(fs.readFileSync(join(place.path('target'), place.path('files', 'plain', 'three')), 'utf8')).toBe('content of plain/three');
});
