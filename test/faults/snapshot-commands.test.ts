import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { createWorkplace, jsonLines, type CommandEnd, type Workplace } from '../cli/run-command';
import { exactTree } from '../helpers/exact-tree';
import { contentOf } from '../helpers/files';
import { chooseSeed, describeSeed, SeededRandom } from '../helpers/seeded-random';

jest.setTimeout(900_000);

const hasRclone = spawnSync('rclone', ['version']).status === 0;
if (!hasRclone) console.log('rclone is missing: whether it agrees with SHA256SUMS is not tested.');
const testWithRclone = hasRclone ? test : test.skip;

const SNAPSHOT_KILLS = 10;
const RESTORE_KILLS = 5;
const FILES = 3000;

let place: Workplace;

beforeEach(() => {
  place = createWorkplace();
});

afterEach(() => place.remove());

function makeTree(random: SeededRandom, files: number): void {
  for (let index = 0; index < files; index += 1) {
    const directory = place.path('source', `d${index % 40}`);
    fs.mkdirSync(directory, { recursive: true });
    fs.writeFileSync(join(directory, `file ${index}`), contentOf(index, random.whole(0, 20_000)));
  }
  fs.symlinkSync('d0', place.path('source', 'link'));
  fs.linkSync(place.path('source', 'd0', 'file 0'), place.path('source', 'again'));
}

function snapshotNames(): string[] {
  return fs.readdirSync(place.path('repository')).filter((name) => name !== '.file-backup').sort();
}

/** Everything that is listed is whole: by its own word, by sha256sum's, and by ours. */
async function expectListedAreWhole(): Promise<void> {
  for (const name of snapshotNames()) execFileSync('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd: place.path('repository', name) });
  if (snapshotNames().length === 0) return;
  const { code, stdout } = await place.run(['check', 'repository', '--read-data', '--json']);
  expect({ code, problems: jsonLines(stdout).filter(({ messageType }) => messageType === 'problem') }).toEqual({ code: 0, problems: [] });
}

/** Starts a command and kills it somewhere within the time that it takes by itself. Null when it was over before. */
async function killed(args: readonly string[], afterMs: number): Promise<CommandEnd | null> {
  const command = place.start(args);
  const timer = setTimeout(() => command.child.kill('SIGKILL'), afterMs);
  const end = await command.end;
  clearTimeout(timer);
  return end.signal === 'SIGKILL' ? end : null;
}

test('commands that are killed again and again leave nothing that is half, and the same command goes on', async () => {
  const seed = chooseSeed();
  console.log(describeSeed(seed));
  const random = new SeededRandom(seed);
  makeTree(random, FILES);
  await place.run(['init', 'repository']);
  let kills = 0;
  for (let attempt = 0; kills < SNAPSHOT_KILLS && attempt < 4 * SNAPSHOT_KILLS; attempt += 1) {
    fs.writeFileSync(place.path('source', 'd1', `file ${random.whole(0, FILES)}`), contentOf(attempt, 1000));
    if ((await killed(['snapshot', 'source', '--to', 'repository'], random.whole(300, 4000))) !== null) kills += 1;
    await expectListedAreWhole();
  }
  expect(kills).toBe(SNAPSHOT_KILLS);
  const end = await place.run(['snapshot', 'source', '--to', 'repository', '--json']);
  expect(end.code).toBe(0);
  await expectListedAreWhole();
  const latest = snapshotNames().at(-1) ?? '';
  // A run that was killed goes on with what it had planned: one more has everything.
  expect((await place.run(['snapshot', 'source', '--to', 'repository'])).code).toBe(0);
  expect(snapshotNames().at(-1)).not.toBe(latest);
  expect(exactTree(join(place.path('repository', snapshotNames().at(-1) ?? '', 'data'), place.path('source')), { ofCopies: true })).toEqual(exactTree(place.path('source'), { ofCopies: true }));
  expect(fs.readdirSync(place.path('repository', '.file-backup', 'incoming'))).toEqual([]);

  for (let attempt = 0; attempt < RESTORE_KILLS; attempt += 1) await killed(['restore', 'repository', '--to', 'target'], random.whole(300, 4000));
  expect((await place.run(['restore', 'repository', '--to', 'target'])).code).toBe(0);
  expect(exactTree(join(place.path('target'), place.path('source')))).toEqual(exactTree(place.path('source')));
  expect(fs.readdirSync(place.path('target'))).not.toContain('.file-backup');

  for (let attempt = 0; attempt < 3; attempt += 1) {
    await killed(['prune', 'repository', '--keep-last', String(Math.max(1, snapshotNames().length - 1))], random.whole(200, 900));
    await expectListedAreWhole();
  }
  expect((await place.run(['prune', 'repository', '--keep-last', '1'])).code).toBe(0);
  expect(snapshotNames()).toHaveLength(1);
  await expectListedAreWhole();
  expect(fs.readdirSync(place.path('repository', '.file-backup', 'removed'))).toEqual([]);
});

testWithRclone('rclone agrees with the list of checksums', async () => {
  makeTree(new SeededRandom(1), 50);
  await place.run(['init', 'repository']);
  await place.run(['snapshot', 'source', '--to', 'repository']);
  await place.serverEnd();
  const [name = ''] = snapshotNames();
  const check = (): ReturnType<typeof spawnSync> => spawnSync('rclone', ['checksum', 'sha256', 'SHA256SUMS', '.', '--one-way', '--config', ''], { cwd: place.path('repository', name), encoding: 'utf8' });
  expect(check()).toMatchObject({ status: 0 });
  const copy = join(place.path('repository', name, 'data'), place.path('source', 'd3', 'file 3'));
  fs.writeFileSync(copy, createHash('sha256').update('other').digest());
  expect(check().status).not.toBe(0);
});
