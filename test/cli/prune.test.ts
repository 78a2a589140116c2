import * as fs from 'node:fs';
import { join } from 'node:path';
import { initRepository } from '../../src/storage/snapshot/repository';
import { snapshotNames } from '../../src/storage/snapshot/snapshot-record';
import { damage } from '../helpers/files';
import { writeSnapshot } from '../helpers/snapshot-fixture';
import { createWorkplace, jsonLines, type CommandEnd, type Workplace } from './run-command';

let place: Workplace;
let names: string[];
const repository = (): string => place.path('repository');

/** So far from UTC that the days are others. */
const run = (...args: string[]): Promise<CommandEnd> => place.run(['prune', 'repository', ...args], { env: { TZ: 'Pacific/Kiritimati' } });

beforeEach(() => {
  place = createWorkplace();
  initRepository(repository());
  fs.writeFileSync(place.path('source'), 'content');
  // Local time is 14 hours ahead: the first two are of one day in UTC, the last two of one day here.
  names = ['2026-01-01T09:00:00Z', '2026-01-01T11:00:00Z', '2026-01-02T09:00:00Z'].map((time) => writeSnapshot(repository(), place.path('source'), { startedAt: new Date(time), host: 'alpha' }));
});

afterEach(() => place.remove());

const idOf = (name: string | undefined): string => String(name).slice(-8);

test('what stays is shown with its reasons, what goes, and what that has freed; days are local', async () => {
  const { code, stdout, stderr } = await run('--keep-daily', '2');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.trimEnd().split('\n').map((line) => line.replaceAll(/ {2,}/g, ' | '));
  const row = (index: number, time: string, ...reasons: string[]): string => [idOf(names[index]), time, 'alpha', ...reasons, place.path('source'), '1', '7 B', 'complete'].join(' | ');
  expect(lines.slice(0, -1)).toEqual([
    `snapshots of host alpha, sources ${place.path('source')}:`,
    'keep 2 snapshots:',
    'ID | Time | Host | Tags | Reasons | Sources | Files | Size | State',
    row(0, '2026-01-01 23:00:00', 'daily snapshot'),
    row(2, '2026-01-02 23:00:00', 'daily snapshot'),
    'remove 1 snapshot:',
    'ID | Time | Host | Tags | Sources | Files | Size | State',
    row(1, '2026-01-02 01:00:00'),
    '',
  ]);
  expect(lines.at(-1)).toMatch(/^Removed 1 snapshot, freed [\d.]+ KiB$/);
  expect(snapshotNames(repository())).toEqual([names[0], names[2]]);
});

test('a dry run says what would go, and removes nothing', async () => {
  const { code, stdout } = await run('--keep-last', '1', '--dry-run');
  expect(code).toBe(0);
  expect(stdout).toMatch(/\nremove 2 snapshots:\n[^]*\nWould remove 2 snapshots\n$/);
  expect(snapshotNames(repository())).toEqual(names);
});

test('with --json there is one result with all decisions', async () => {
  damage(join(repository(), String(names[0]), 'snapshot.json'), 40);
  const [result, ...others] = jsonLines((await run('--keep-within', '1h', '--json')).stdout);
  expect(others).toEqual([]);
  expect(result).toMatchObject({
    ...{ messageType: 'pruned', repository: repository(), dryRun: false, removedSnapshots: 1, problems: [] },
    groups: [{ host: 'alpha', sources: [place.path('source')], keep: [{ name: names[2], reasons: ['within 1h'] }], remove: [{ name: names[1], status: 'complete' }] }],
    damaged: [{ name: names[0] }],
  });
  expect(snapshotNames(repository())).toEqual([names[0], names[2]]);
});

test('damaged snapshots are named', async () => {
  damage(join(repository(), String(names[0]), 'snapshot.json'), 40);
  expect((await run('--keep-last', '1')).stdout).toContain(`\nDamaged, not counted and left alone: ${names[0]}: `);
});

test.each([
  ['without anything to keep', [], 'at least one --keep option'],
  ['without anything to keep, but a filter', ['--host', 'alpha', '--tag', 'x', '--dry-run'], 'at least one --keep option'],
  ['with a duration that is none', ['--keep-within', '7'], '--keep-within must be a duration such as 2y5m7d3h, not "7"'],
  ['with a number that is none', ['--keep-last', '0'], '--keep-last must be a whole number from 1'],
])('pruning %s is refused with exit code 2', async (_what, args, message) => {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
  expect(snapshotNames(repository())).toEqual(names);
});

test('a policy that keeps nothing of a group is refused, a missing repository not found', async () => {
  expect(await run('--keep-tag', 'nobody')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('the policy keeps no snapshot of host alpha') as string });
  expect(snapshotNames(repository())).toEqual(names);
  expect(await place.run(['prune', 'nowhere', '--keep-last', '1'])).toMatchObject({ code: 10, stdout: '' });
  expect(fs.existsSync(place.path('nowhere'))).toBe(false);
});
