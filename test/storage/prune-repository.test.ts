import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import type { RetentionPolicy } from '../../src/core/retention';
import { TransferControl } from '../../src/storage/control';
import { makeFifo } from '../../src/storage/posix';
import { initRepository, removedDirectory } from '../../src/storage/snapshot/repository';
import { pruneRepository, type PruneRequest, type PruneResult } from '../../src/storage/snapshot/prune-repository';
import { sweepRemoved, unlistSnapshot } from '../../src/storage/snapshot/remove-snapshot';
import { listSnapshots, snapshotNames } from '../../src/storage/snapshot/snapshot-record';
import { contentOf, damage, isRoot, openDescriptors, treeOf, useFolder, withoutRights } from '../helpers/files';
import { writeSnapshot, type FixtureOptions } from '../helpers/snapshot-fixture';
import { Crash, crashing, errnoError, interceptFs, withInterruption } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const repository = (): string => join(folder(), 'repository');
const source = (...names: string[]): string => join(folder(), 'source', ...names);
const removed = (...names: string[]): string => join(removedDirectory(repository()), ...names);

beforeEach(() => {
  initRepository(repository());
  fs.mkdirSync(source('sub'), { recursive: true });
  fs.writeFileSync(source('same'), contentOf(1, 1000));
  fs.writeFileSync(source('sub', 'other'), contentOf(2, 3000));
});

/** A snapshot of so many days ago. */
function snapshot(daysAgo: number, options: FixtureOptions = {}): string {
  return writeSnapshot(repository(), source(), { startedAt: new Date(Date.UTC(2026, 5, 30 - daysAgo, 12)), ...options });
}

function request(policy: Partial<RetentionPolicy>, more: Partial<PruneRequest> = {}): PruneRequest {
  return { repository: repository(), policy: { tags: [], ...policy }, tags: [], sources: [], readData: false, dryRun: false, nowMs: Date.UTC(2026, 6, 1), ...more };
}

const prune = (policy: Partial<RetentionPolicy>, more: Partial<PruneRequest> = {}): PruneResult => pruneRepository(request(policy, more), new TransferControl());

/** The files beside the copies: record, metadata, checksums. */
function ownBytes(name: string): number {
  return ['snapshot.json', 'metadata.ndjson', 'SHA256SUMS'].reduce((sum, file) => sum + fs.statSync(join(repository(), name, file)).size, 0);
}

test('what is not kept goes, and files that other snapshots share stay as they are', () => {
  const first = snapshot(2);
  fs.writeFileSync(source('sub', 'other'), 'changed');
  const second = snapshot(1, { parent: first });
  const before = treeOf(join(repository(), second));
  const expected = 3000 + ownBytes(first);
  const result = prune({ last: 1 });
  expect(snapshotNames(repository())).toEqual([second]);
  expect(treeOf(join(repository(), second))).toEqual(before);
  expect(fs.statSync(join(repository(), second, 'data', source('same'))).nlink).toBe(1);
  expect(fs.readdirSync(removed())).toEqual([]);
  expect(result).toMatchObject({ removedSnapshots: 1, freedBytes: expected, problems: [], groups: [{ host: 'test-host', sources: [source()], keep: [{ name: second, reasons: ['last snapshot'] }], remove: [{ name: first, reasons: [] }] }] });
});

test('a file with several names in the snapshots that go is freed once', () => {
  fs.linkSync(source('same'), source('twin'));
  const first = snapshot(3);
  const second = snapshot(2, { parent: first });
  fs.rmSync(source(), { recursive: true });
  fs.mkdirSync(source());
  snapshot(1);
  const expected = 1000 + 3000 + ownBytes(first) + ownBytes(second);
  expect(prune({ last: 1 })).toMatchObject({ removedSnapshots: 2, freedBytes: expected });
});

test('input and result are fit for another thread, and files are counted', () => {
  snapshot(2);
  snapshot(1);
  const control = new TransferControl();
  const result = pruneRepository(structuredClone(request({ last: 1 })), control);
  expect(structuredClone(result)).toEqual(result);
  // What is looked at counts as well.
  expect(control.files).toBeGreaterThan(result.entries);
  expect(result.entries).toBeGreaterThan(8);
});

test('a dry run decides and touches nothing', () => {
  const names = [snapshot(2), snapshot(1)];
  unlistSnapshot(repository(), snapshot(3));
  const before = treeOf(repository());
  expect(prune({ last: 1 }, { dryRun: true })).toMatchObject({ removedSnapshots: 0, groups: [{ keep: [{ name: names[1] }], remove: [{ name: names[0] }] }] });
  expect(treeOf(repository())).toEqual(before);
});

test('hosts and tags that were not asked for are not looked at', () => {
  const [old, tagged, elsewhere, newest] = [snapshot(5), snapshot(4, { tags: ['nightly'] }), snapshot(3, { host: 'elsewhere' }), snapshot(1, { tags: ['nightly'] })];
  prune({ last: 1 }, { tags: ['nightly'] });
  expect(snapshotNames(repository())).toEqual([old, elsewhere, newest]);
  expect(snapshotNames(repository())).not.toContain(tagged);
  prune({ last: 1 }, { host: 'test-host' });
  expect(snapshotNames(repository())).toEqual([elsewhere, newest]);
});

test('sources that were not asked for are not looked at', () => {
  const of = (...names: string[]): string => {
    fs.mkdirSync(source(...names), { recursive: true });
    fs.writeFileSync(source(...names, 'file'), '');
    return source(...names);
  };
  const write = (path: string, daysAgo: number): string => writeSnapshot(repository(), path, { startedAt: new Date(Date.UTC(2026, 5, 30 - daysAgo, 12)) });
  const [one, other] = [of('one'), of('other')];
  const [oldOne, newOne, oldOther, newOther] = [write(one, 4), write(one, 3), write(other, 2), write(other, 1)];
  prune({ last: 1 }, { sources: [one] });
  expect(snapshotNames(repository())).toEqual([newOne, oldOther, newOther]);
  expect(snapshotNames(repository())).not.toContain(oldOne);
  const followers = (host: string, ...sources: string[]) => ({ followers: { host, sources } });
  for (const others of [followers('elsewhere', other), followers('test-host', other, one), followers('test-host', source())]) prune({ last: 1 }, others);
  expect(snapshotNames(repository())).toEqual([newOne, oldOther, newOther]);
  prune({ last: 1 }, followers('test-host', other, join(other, 'file')));
  expect(snapshotNames(repository())).toEqual([newOne, newOther]);
});

test('what was deleted is durable before it is reported', () => {
  snapshot(2);
  snapshot(1);
  const calls: string[] = [];
  const opened = new Map<unknown, string>();
  const restore = interceptFs(({ name, args }, proceed) => {
    const result = proceed();
    if (name === 'openSync') opened.set(result, fs.readlinkSync(`/proc/self/fd/${String(result)}`));
    if (name === 'fsyncSync') calls.push(`sync ${opened.get(args[0]) ?? ''}`);
    if (name === 'rmdirSync' || name === 'unlinkSync') calls.push('delete');
    return result;
  });
  try {
    expect(prune({ last: 1 })).toMatchObject({ removedSnapshots: 1 });
  } finally {
    restore();
  }
  expect(calls).toContain('delete');
  expect(calls.lastIndexOf(`sync ${removed()}`)).toBeGreaterThan(calls.lastIndexOf('delete'));
});

test('the last complete snapshot stays beside newer partial ones', () => {
  const [old, complete, partial] = [snapshot(3), snapshot(2), snapshot(1, { status: 'partial' })];
  expect(prune({ last: 1 }).groups).toMatchObject([{ keep: [{ name: complete, reasons: ['last complete'] }, { name: partial }], remove: [{ name: old }] }]);
  expect(snapshotNames(repository())).toEqual([complete, partial]);
});

test('a damaged snapshot is named and stays', () => {
  const names = [snapshot(3), snapshot(2), snapshot(1)];
  damage(join(repository(), names[0] ?? '', 'snapshot.json'), 40);
  expect(prune({ last: 1 }).damaged).toEqual([{ name: names[0], problem: expect.stringContaining('is damaged') as string }]);
  expect(snapshotNames(repository())).toEqual([names[0], names[2]]);
});

test('a policy that would leave nothing of a group is refused before anything goes', () => {
  const names = [snapshot(3), snapshot(2, { tags: ['a'] }), snapshot(1, { host: 'elsewhere' })];
  expect(() => prune({ tags: ['a'] })).toThrow('the policy keeps no snapshot of host elsewhere');
  expect(snapshotNames(repository())).toEqual(names);
});

test('links are deleted and not followed, and special files do not block', () => {
  const precious = join(folder(), 'precious');
  fs.mkdirSync(precious);
  fs.writeFileSync(join(precious, 'file'), 'precious');
  fs.symlinkSync(precious, source('to-directory'));
  fs.symlinkSync(join(precious, 'file'), source('to-file'));
  const first = snapshot(2);
  snapshot(1);
  // Not by the engine, but by whoever can write to the repository.
  fs.symlinkSync(precious, join(repository(), first, 'planted'));
  makeFifo(join(repository(), first, 'data', 'fifo'), 0o600);
  fs.symlinkSync(join(repository(), first), removed(`${first}-0123abcd`));
  const before = treeOf(precious);
  prune({ last: 1 });
  expect(fs.readdirSync(removed())).toEqual([]);
  expect(treeOf(precious)).toEqual(before);
});

test('a directory that is swapped for a link while it is deleted is not followed', () => {
  const precious = join(folder(), 'precious');
  fs.mkdirSync(precious);
  fs.writeFileSync(join(precious, 'other'), 'precious');
  const first = snapshot(2);
  snapshot(1);
  const swap = (): void => {
    const victim = removed(fs.readdirSync(removed())[0] ?? '', 'data', source('sub'));
    fs.renameSync(victim, `${victim}-moved`);
    fs.symlinkSync(precious, victim);
  };
  const isLook = ({ name, args }: { name: string; args: readonly unknown[] }): boolean => name === 'openSync' && String(args[0]).endsWith('/sub');
  let isSwapped = false;
  const restore = interceptFs((call, proceed) => {
    // Before, what is to stay is looked at.
    if (isLook(call) && !isSwapped && fs.readdirSync(removed()).length > 0) {
      isSwapped = true;
      swap();
    }
    return proceed();
  });
  try {
    expect(prune({ last: 1 }).problems).toEqual([expect.stringContaining(first) as string]);
  } finally {
    restore();
  }
  expect(isSwapped).toBe(true);
  expect(fs.readdirSync(precious)).toEqual(['other']);
  expect(prune({ last: 1 }).problems).toEqual([]);
  expect(fs.readdirSync(removed())).toEqual([]);
  expect(fs.readdirSync(precious)).toEqual(['other']);
});

test.each(['removed', ''])('a place for what is removed that is a link is refused: .file-backup/%s', (name) => {
  snapshot(2);
  snapshot(1);
  const precious = join(folder(), 'precious');
  const own = join(repository(), '.file-backup', name);
  fs.renameSync(own, precious);
  fs.symlinkSync(precious, own);
  const inside = name === '' ? join(precious, 'removed') : precious;
  fs.mkdirSync(join(inside, '2020-01-01T00-00-00Z-00000000-00000000'));
  expect(() => prune({ last: 1 })).toThrow(/runs through a (symbolic )?link/);
  expect(snapshotNames(repository())).toHaveLength(2);
  expect(fs.readdirSync(inside)).toEqual(['2020-01-01T00-00-00Z-00000000-00000000']);
});

test('entries that nothing here has put beside what was removed stay', () => {
  snapshot(1);
  fs.writeFileSync(removed('notes-01234567'), '');
  prune({ last: 1 });
  expect(fs.readdirSync(removed())).toEqual(['notes-01234567']);
});

test('a repository that has lost its empty directories gets the place again', () => {
  const names = [snapshot(2), snapshot(1)];
  fs.rmdirSync(removed());
  expect(prune({ last: 1 })).toMatchObject({ removedSnapshots: 1 });
  expect(snapshotNames(repository())).toEqual([names[1]]);
});

test('directories that lock their owner out are deleted without root\'s rights', () => {
  fs.mkdirSync(source('sub', 'deep'));
  fs.writeFileSync(source('sub', 'deep', 'file'), '');
  const first = snapshot(2);
  const newest = snapshot(1);
  const data = join(repository(), first, 'data', source());
  fs.chmodSync(join(data, 'sub', 'deep'), 0);
  fs.chmodSync(join(data, 'sub'), 0o555);
  fs.chmodSync(data, 0o100);
  if (isRoot) giveAway(folder());
  withoutRights(() => expect(prune({ last: 1 })).toMatchObject({ removedSnapshots: 1, problems: [] }));
  expect(fs.readdirSync(removed())).toEqual([]);
  expect(snapshotNames(repository())).toEqual([newest]);
});

/** To the user that `withoutRights` stands for. */
function giveAway(path: string): void {
  fs.lchownSync(path, 65534, 65534);
  if (!fs.lstatSync(path).isDirectory()) return;
  for (const name of fs.readdirSync(path)) giveAway(join(path, name));
}

test('what cannot be deleted is reported, keeps nothing else from being deleted, and goes the next time', () => {
  const [first, second] = [snapshot(3), snapshot(2)];
  snapshot(1);
  let hasFailed = false;
  const restore = interceptFs(({ name, args }, proceed) => {
    if (name !== 'unlinkSync' || hasFailed || !String(args[0]).endsWith('/same')) return proceed();
    hasFailed = true;
    throw errnoError('EPERM', 1);
  });
  try {
    const result = prune({ last: 1 });
    expect(result.removedSnapshots).toBe(2);
    expect(result.problems).toEqual([expect.stringMatching(/EPERM$/) as string]);
  } finally {
    restore();
  }
  const [left, ...others] = fs.readdirSync(removed());
  expect(others).toEqual([]);
  expect([first, second]).toContain(left?.slice(0, -9));
  expect(prune({ last: 1 })).toMatchObject({ removedSnapshots: 0, problems: [] });
  expect(fs.readdirSync(removed())).toEqual([]);
});

test('two that prune at once do not mind each other', () => {
  snapshot(3);
  snapshot(2);
  const newest = snapshot(1);
  for (const call of ['renameSync', 'unlinkSync', 'rmdirSync'] as const) {
    snapshot(4);
    withInterruption(call, 1, () => prune({ last: 1 }), () => expect(prune({ last: 1 }).problems).toEqual([]));
    expect(snapshotNames(repository())).toEqual([newest]);
    expect(fs.readdirSync(removed())).toEqual([]);
  }
});

test('cancelled between two directories, it leaves the rest for the next time', () => {
  snapshot(2);
  const newest = snapshot(1);
  const control = new TransferControl();
  withInterruption('unlinkSync', 2, () => control.cancel(), () => expect(() => pruneRepository(request({ last: 1 }), control)).toThrow('cancelled'));
  expect(snapshotNames(repository())).toEqual([newest]);
  expect(fs.readdirSync(removed())).toHaveLength(1);
  expect(prune({ last: 1 }).freedBytes).toBeGreaterThan(0);
  expect(fs.readdirSync(removed())).toEqual([]);
});

test('cancelled between two snapshots, it takes no further one out of the list', () => {
  const names = [snapshot(3), snapshot(2), snapshot(1)];
  const control = new TransferControl();
  withInterruption('renameSync', 1, () => control.cancel(), () => expect(() => pruneRepository(request({ last: 1 }), control)).toThrow('cancelled'));
  expect(snapshotNames(repository())).toEqual(names.slice(1));
});

test('no descriptor stays open', () => {
  snapshot(2);
  snapshot(1);
  prune({ last: 2 });
  const before = openDescriptors();
  prune({ last: 1 });
  expect(openDescriptors()).toBe(before);
});

test('the rename is durable on both sides before the first file goes', () => {
  snapshot(2);
  snapshot(1);
  const steps: string[] = [];
  const restore = interceptFs(({ name, args }, proceed) => {
    const result = proceed();
    if (name === 'renameSync' || name === 'unlinkSync') steps.push(name);
    if (name === 'fsyncSync') steps.push(`sync ${fs.readlinkSync(`/proc/self/fd/${Number(args[0])}`).replace(repository(), '')}`);
    return result;
  });
  try {
    prune({ last: 1 });
  } finally {
    restore();
  }
  const [renamed, unlinked] = [steps.indexOf('renameSync'), steps.indexOf('unlinkSync')];
  // The directory of what is removed has its own name on disk first.
  expect(steps.slice(0, renamed)).toEqual(['sync /.file-backup']);
  expect(steps.slice(renamed + 1, unlinked)).toEqual(expect.arrayContaining(['sync /.file-backup/removed', 'sync ']));
});

test('a crash at any change leaves a list of whole snapshots, and the next run finishes', () => {
  snapshot(2);
  const newest = snapshot(1);
  let deaths = 0;
  for (let nth = 1; ; nth += 1) {
    if (snapshotNames(repository()).length === 1) snapshot(2);
    const simulation = crashing(nth, { hardLinks: true, halfDone: false });
    try {
      prune({ last: 1 });
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
    } finally {
      simulation.restart();
    }
    requireWholeSnapshots();
    if (!simulation.crashed()) break;
    deaths += 1;
    prune({ last: 1 });
    expect(snapshotNames(repository())).toEqual([newest]);
    expect(fs.readdirSync(removed())).toEqual([]);
  }
  expect(deaths).toBeGreaterThan(8);
});

/** Whatever is listed has all its files. */
function requireWholeSnapshots(): void {
  for (const { name, record } of listSnapshots(repository())) {
    expect(record?.counts.files).toBe(2);
    expect(fs.readFileSync(join(repository(), name, 'data', source('same')))).toEqual(contentOf(1, 1000));
    expect(fs.readFileSync(join(repository(), name, 'data', source('sub', 'other')))).toEqual(contentOf(2, 3000));
  }
}

const PROGRAM = resolve(__dirname, '../../lib/storage/snapshot/prune-repository.js');

/** Kills its own process at the n-th deletion of a file. */
const killer = (nth: number): string => `
  const fs = require('node:fs');
  const { TransferControl } = require(${JSON.stringify(resolve(__dirname, '../../lib/storage/control.js'))});
  const { pruneRepository } = require(${JSON.stringify(PROGRAM)});
  const { unlinkSync } = fs;
  let count = 0;
  fs.unlinkSync = (path) => {
    count += 1;
    if (count === ${nth}) process.kill(process.pid, 'SIGKILL');
    unlinkSync(path);
  };
  pruneRepository(JSON.parse(process.argv[1]), new TransferControl());
`;

test('killed while it deletes, it lists whole snapshots only, and the next run deletes the rest', async () => {
  for (let index = 0; index < 20; index += 1) fs.writeFileSync(source('sub', `file${index}`), String(index));
  snapshot(3);
  snapshot(2);
  const newest = snapshot(1);
  const before = treeOf(join(repository(), newest));
  for (const nth of [1, 10, 10]) {
    const child = spawn(process.execPath, ['-e', killer(nth), JSON.stringify(request({ last: 1 }))], { stdio: 'inherit' });
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    expect(listSnapshots(repository())).toMatchObject([{ name: newest, problem: undefined }]);
    expect(fs.readdirSync(removed()).length).toBeGreaterThan(0);
  }
  expect(sweepRemoved(repository(), new TransferControl()).entries).toBeGreaterThan(10);
  expect(fs.readdirSync(removed())).toEqual([]);
  expect(treeOf(join(repository(), newest))).toEqual(before);
});
