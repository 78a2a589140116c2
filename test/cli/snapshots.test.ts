import * as fs from 'node:fs';
import { join } from 'node:path';
import { initRepository } from '../../src/storage/snapshot/repository';
import { damage } from '../helpers/files';
import { editEntries, failed } from '../helpers/edit-snapshot';
import { writeSnapshot } from '../helpers/snapshot-fixture';
import { createWorkplace, jsonLines, type CommandEnd, type Workplace } from './run-command';

/** Two snapshots of one source and one of another, in this order of time. */
let place: Workplace;
let names: { first: string; second: string; other: string };
const repository = (): string => place.path('repository');
const source = (...parts: string[]): string => place.path('source', ...parts);

/** A place far from UTC: times that are shown must be local. */
const env = { TZ: 'Pacific/Kiritimati' };
const run = (...args: string[]): Promise<CommandEnd> => place.run(args, { env });

beforeAll(() => {
  place = createWorkplace();
  initRepository(repository());
  fs.mkdirSync(source('sub'), { recursive: true });
  for (const name of ['kept', 'goes', 'edited', 'touched', 'becomes-link', 'secret']) fs.writeFileSync(source(name), name);
  fs.writeFileSync(source('sub', 'line\nbreak'), 'x');
  fs.chmodSync(source('kept'), 0o4750);
  fs.utimesSync(source('kept'), 1_700_000_000, 1_700_000_000);
  fs.writeFileSync(place.path('elsewhere'), 'elsewhere');
  const first = writeSnapshot(repository(), source(), { startedAt: new Date('2026-01-01T20:00:00Z'), host: 'alpha', tags: ['daily'] });
  fs.rmSync(source('goes'));
  fs.rmSync(source('becomes-link'));
  fs.symlinkSync('kept', source('becomes-link'));
  fs.writeFileSync(source('edited'), 'edited later');
  fs.utimesSync(source('touched'), 1, 1);
  fs.mkdirSync(source('new'));
  fs.writeFileSync(source('new', 'file'), '12345');
  const second = writeSnapshot(repository(), source(), { startedAt: new Date('2026-01-02T20:00:00Z'), host: 'alpha', tags: ['daily', 'odd'], parent: first, status: 'partial' });
  editEntries(repository(), second, (entry) => (entry.path === source('secret') ? failed(entry) : entry));
  const other = writeSnapshot(repository(), place.path('elsewhere'), { startedAt: new Date('2026-01-03T20:00:00Z'), host: 'beta' });
  names = { first, second, other };
});

afterAll(() => place.remove());

const idOf = (name: string): string => name.slice(-8);

test('snapshots are listed with the newest last, each tag on a line', async () => {
  const { code, stdout, stderr } = await run('snapshots', 'repository');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.trimEnd().split('\n').map((line) => line.replaceAll(/ {2,}/g, ' | '));
  const shown = (name: string, time: string, ...cells: string[]): string => [idOf(name), time, ...cells].join(' | ');
  expect(lines).toEqual([
    'ID | Time | Host | Tags | Sources | Files | Size | State',
    shown(names.first, '2026-01-02 10:00:00', 'alpha', 'daily', source(), '7', '40 B', 'complete'),
    shown(names.second, '2026-01-03 10:00:00', 'alpha', 'daily', source(), '6', '35 B', 'partial'),
    ' | odd',
    shown(names.other, '2026-01-04 10:00:00', 'beta', place.path('elsewhere'), '1', '9 B', 'complete'),
    '3 snapshots, times are local',
  ]);
});

test.each<[string, string[], (keyof typeof names)[]]>([
  ['by host', ['--host', 'beta'], ['other']],
  ['by tag', ['--tag', 'odd'], ['second']],
  ['by any of several tags', ['--tag', 'odd', '--tag', 'daily'], ['first', 'second']],
  ['by source, as seen from here', ['--source', 'source'], ['first', 'second']],
  ['the newest of each group', ['--latest', '1'], ['second', 'other']],
  ['by all of it', ['--host', 'beta', '--tag', 'odd'], []],
])('snapshots are filtered: %s', async (_what, filters, expected) => {
  const { code, stdout } = await run('snapshots', 'repository', '--json', ...filters);
  expect(code).toBe(0);
  const [result] = jsonLines(stdout);
  expect(result).toMatchObject({ messageType: 'snapshots', repository: repository() });
  expect((result?.snapshots as { name: string }[]).map(({ name }) => name)).toEqual(expected.map((which) => names[which]));
});

test('a dry run goes by the parent that is named, which has to be there', async () => {
  const preview = (...options: string[]): Promise<CommandEnd> => run('snapshot', 'source', '--to', 'repository', '--dry-run', '--json', ...options);
  const parentOf = ({ stdout }: CommandEnd): unknown => jsonLines(stdout).at(-1)?.parent;
  expect(parentOf(await preview('--parent', idOf(names.first)))).toBe(names.first);
  expect(parentOf(await preview('--host', 'alpha'))).toBe(names.second);
  expect(parentOf(await preview('--parent', 'none'))).toBeNull();
  expect((await preview('--parent', 'nosuch')).code).toBe(10);
});

test('an empty repository has no snapshots', async () => {
  initRepository(place.path('empty'));
  expect(await run('snapshots', 'empty')).toMatchObject({ code: 0, stdout: 'No snapshots.\n' });
  expect(await run('ls', 'empty')).toMatchObject({ code: 10, stdout: '', stderr: expect.stringContaining('it holds none') as string });
});

test('what is dated in the future is said to be, and is not among the newest', async () => {
  const future = place.path('future');
  initRepository(future);
  const [real, dated] = ['2026-01-02T10:00:00Z', '2099-01-01T00:00:00Z'].map((time) => writeSnapshot(future, place.path('source'), { startedAt: new Date(time) }));
  const { stdout } = await run('snapshots', 'future', '--latest', '1');
  expect(stdout).toContain(idOf(real ?? ''));
  expect(stdout).toContain(`Dated in the future: ${dated}: neither parent nor latest`);
  const [result] = jsonLines((await run('snapshots', 'future', '--json')).stdout);
  expect(result?.snapshots).toMatchObject([{ name: real, inFuture: false }, { name: dated, inFuture: true }]);
  expect((await run('prune', 'future', '--keep-last', '1', '--dry-run')).stdout).toContain(`Dated in the future: ${dated}`);
});

test('a damaged snapshot is listed as such, whatever is asked for', async () => {
  const copy = place.path('damaged');
  fs.cpSync(repository(), copy, { recursive: true });
  damage(join(copy, names.first, 'snapshot.json'), 40);
  const text = await run('snapshots', 'damaged', '--host', 'beta', '--latest', '1');
  expect(text.code).toBe(0);
  expect(text.stdout).toMatch(new RegExp(`^${idOf(names.first)}  2026-01-02 10:00:00 .* damaged$`, 'm'));
  expect(text.stdout).toContain(`Damaged: ${names.first}: `);
  const [result] = jsonLines((await run('snapshots', 'damaged', '--json')).stdout);
  expect((result?.snapshots as object[])[0]).toEqual({ name: names.first, state: 'damaged', problem: expect.stringContaining('is damaged') as string, inFuture: false });
});

const failure = 'failed: EACCES: it may not be read';

test('entries of the latest snapshot are listed one a line, failed ones with what is wrong', async () => {
  const { code, stdout, stderr } = await run('ls', 'repository', names.second);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.trimEnd().split('\n');
  expect(lines[0]).toBe('/');
  expect(lines.slice(lines.indexOf(source()))).toEqual(
    ['', '/becomes-link', '/edited', '/kept', '/new', '/new/file', `/secret  (${failure})`, '/sub', '/sub/line\\nbreak', '/touched'].map((path) => source() + path),
  );
  expect((await run('ls', 'repository')).stdout).toContain(`\n${place.path('elsewhere')}\n`);
});

test('long lines have mode, owner, size, local time and the target of links', async () => {
  const { uid, gid } = fs.statSync(source('kept'));
  const { stdout } = await run('ls', '--long', 'repository', idOf(names.second), ...['kept', 'becomes-link', 'secret'].map((name) => source(name)));
  const lines = stdout.trimEnd().split('\n').map((line) => line.replaceAll(/ +/g, ' '));
  expect(lines[0]).toMatch(new RegExp(`^lrwxrwxrwx ${uid} ${gid} 0 \\S+ \\S+ ${source('becomes-link')} -> kept$`));
  expect(lines[1]).toBe(`-rwsr-x--- ${uid} ${gid} 4 2023-11-15 12:13:20 ${source('kept')}`);
  expect(lines[2]).toBe(`-????????? ? ? ? ? ${source('secret')} (${failure})`);
});

test('named paths are listed with what is below them, and nothing that is only called alike', async () => {
  fs.mkdirSync(place.path('alike', 'sub'), { recursive: true });
  for (const name of ['sub/x', 'sub-other', 'sub.x']) fs.writeFileSync(place.path('alike', name), '');
  initRepository(place.path('of-alike'));
  writeSnapshot(place.path('of-alike'), place.path('alike'));
  expect((await run('ls', 'of-alike', 'latest', 'alike/sub/')).stdout).toBe(`${place.path('alike', 'sub')}\n${place.path('alike', 'sub', 'x')}\n`);
  expect((await run('ls', 'of-alike', 'latest', '/')).stdout).toBe((await run('ls', 'of-alike')).stdout);
});

test('a path that is not in the snapshot is an error that names it', async () => {
  const { code, stdout, stderr } = await run('ls', 'repository', names.second, source('kept'), source('nobody'));
  expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: `${source('kept')}\n`, stderr: `file-backup: Snapshot ${names.second} has no ${source('nobody')}\n` });
});

test('with --json each entry is an object, and the last one is the result', async () => {
  const objects = jsonLines((await run('ls', 'repository', names.second, source(), '--json')).stdout);
  expect(objects).toHaveLength(11);
  expect(objects[3]).toMatchObject({ messageType: 'entry', path: source('kept'), type: 'file', mode: '4750', sizeBytes: 4 });
  expect(objects[6]).toMatchObject({ messageType: 'entry', path: source('secret'), state: 'failed', failure: { code: 'EACCES' } });
  expect(objects.at(-1)).toEqual({ messageType: 'entries', repository: repository(), snapshot: names.second, entries: 10, files: 5, failed: 1, sizeBytes: 29 });
});

test('a difference is one line with its letter, and the end is a summary', async () => {
  const { code, stdout, stderr } = await run('diff', 'repository', names.first, names.second);
  expect({ code, stderr }).toEqual({ code: 0, stderr: `comparing snapshot ${names.first} to ${names.second}\n` });
  const summary = ['', 'Files:         1 new,     1 removed,     1 changed', 'Dirs:          1 new,     0 removed,     0 changed', 'Others:        0 new,     0 removed,     1 changed'];
  const lines = [`T    ${source('becomes-link')}`, `M    ${source('edited')}`, `-    ${source('goes')}`, `+    ${source('new')}/`, `+    ${source('new', 'file')}`, `!    ${source('secret')}  (after: ${failure})`];
  const end = ['Metadata:      2 changed in nothing else', 'Failed:        1 cannot be compared', `  Added:   ${12 + 5} B`, `  Removed: ${4 + 6 + 12} B`];
  expect(stdout.trimEnd().split('\n')).toEqual([...lines, ...summary, ...end]);
});

test('other metadata is shown on request', async () => {
  const { stdout } = await run('diff', 'repository', names.first, names.second, '--metadata');
  expect(stdout.split('\n').filter((line) => line.startsWith('U'))).toEqual([`U    ${source()}/`, `U    ${source('touched')}`]);
});

test('with --json each difference is an object with both sides', async () => {
  const objects = jsonLines((await run('diff', 'repository', names.first, names.second, '--json')).stdout);
  expect(objects.map(({ modifier }) => modifier)).toEqual(['T', 'M', '-', '+', '+', '!', undefined]);
  expect(objects[2]).toMatchObject({ messageType: 'difference', change: 'removed', path: source('goes'), before: { sizeBytes: 4 }, after: null });
  expect(objects.at(-1)).toMatchObject({ messageType: 'differences', before: names.first, after: names.second, files: { added: 1, removed: 1, changed: 1 }, unknown: 1, addedBytes: 17, removedBytes: 22 });
});

test('a snapshot does not differ from itself', async () => {
  const [only, ...others] = jsonLines((await run('diff', 'repository', names.first, names.first, '--json', '--metadata')).stdout);
  expect(others).toEqual([]);
  expect(only).toMatchObject({ files: { added: 0, removed: 0, changed: 0 }, metadataOnly: 0, addedBytes: 0, removedBytes: 0 });
});

test.each([['snapshots'], ['ls'], ['diff', 'latest', 'latest']])('without a repository the exit code of %s is 10', async (command, ...rest) => {
  const { code, stdout, stderr } = await run(command, 'source', ...rest);
  expect({ code, stdout }).toEqual({ code: 10, stdout: '' });
  expect(stderr).toContain(`There is no repository in ${source()}`);
});


test.each([['ls', 'repository', 'nobody'], ['diff', 'repository', 'latest', 'nobody']])('an unknown snapshot is exit code 10: %s', async (...args) => {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stdout }).toEqual({ code: 10, stdout: '' });
  expect(stderr).toContain('none is called "nobody"');
});

test('a result that is larger than any pipe arrives as a whole', async () => {
  initRepository(place.path('large'));
  const tags = Array.from({ length: 20_000 }, (_, index) => `${'long-tag-'.repeat(10)}${index}`);
  writeSnapshot(place.path('large'), place.path('elsewhere'), { tags });
  const [result] = jsonLines((await run('snapshots', 'large', '--json')).stdout);
  expect((result?.snapshots as object[])[0]).toMatchObject({ tags });
});

test('a reader may leave in the middle of a list', async () => {
  const { child, end } = place.start(['ls', 'repository']);
  child.stdout?.destroy();
  expect(await end).toMatchObject({ code: 0, signal: null, stderr: '' });
});
