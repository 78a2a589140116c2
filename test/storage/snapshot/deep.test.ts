import * as fs from 'node:fs';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { ThreadPool } from '../../../src/activities';
import { TransferControl } from '../../../src/storage/control';
import { OpenBranch } from '../../../src/storage/snapshot/check/open-branch';
import { planCheck } from '../../../src/storage/snapshot/check/plan-check';
import { checkSnapshotPart } from '../../../src/storage/snapshot/check/check-part';
import { findExtra } from '../../../src/storage/snapshot/check/find-extra';
import { inodeMemory } from '../../../src/storage/snapshot/check/read-inodes';
import { openSnapshot } from '../../../src/storage/snapshot/metadata';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { check, named } from '../../helpers/check';
import { useFolder } from '../../helpers/files';
import { interceptFs } from '../patched-fs';
import { SnapshotRun } from './snapshot-run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();

const repository = (): string => join(folder(), 'repository');
const source = (): string => join(folder(), 'source');

beforeEach(() => initRepository(repository()));


/** Directories in each other; with files in each after what is below it, the way leads up step by step. */
function makeDeep(levels: number, withFiles: boolean): void {
  const script = `const fs = require('fs'); fs.mkdirSync(process.argv[1]); process.chdir(process.argv[1]);
    for (let level = 0; level < ${levels}; level += 1) { ${withFiles ? "fs.writeFileSync('z', '');" : ''} fs.mkdirSync('d'); process.chdir('d'); }
    fs.writeFileSync('last', 'x');`;
  execFileSync(process.execPath, ['-e', script, source()]);
}

function takeSnapshot(): SnapshotRun {
  const run = new SnapshotRun(folder(), repository(), [source()]);
  run.take();
  return run;
}

/** Calls that open or resolve directories. */
function callsOf(work: () => void): number {
  let count = 0;
  const restore = interceptFs(({ name }, proceed) => {
    if (name === 'openSync') count += 1;
    if (name.startsWith('realpath')) count += 1000;
    return proceed();
  });
  try {
    work();
  } finally {
    restore();
  }
  return count;
}

function checkAll(run: SnapshotRun): void {
  const request = { repository: repository(), snapshot: run.name };
  const control = new TransferControl();
  const { sources } = planCheck({ ...request, share: null }, control);
  const part = checkSnapshotPart({ ...request, sources, range: { start: 0, end: Infinity }, share: null, inodes: inodeMemory(0) }, control);
  expect([...part.problems, ...findExtra({ ...request, after: null, limit: 10 }, control).problems]).toEqual([]);
}

test.each([false, true])('the work of a check grows with the depth and not with its square (files on the way up: %s)', (withFiles) => {
  const calls = [150, 450].map((levels) => {
    makeDeep(levels, withFiles);
    const run = takeSnapshot();
    execFileSync('rm', ['-rf', source()]);
    return callsOf(() => checkAll(run));
  });
  // Three times, and some for what is opened again on the way up.
  expect((calls[1] ?? 0) / (calls[0] ?? 1)).toBeLessThan(6);
});

test('the work of taking files in grows with the depth and not with its square, and no path is resolved', () => {
  const calls = [150, 450].map((levels) => {
    makeDeep(levels, true);
    const run = new SnapshotRun(folder(), repository(), [source()]);
    run.plan();
    const count = callsOf(() => run.chunk());
    run.seal();
    execFileSync('rm', ['-rf', source()]);
    return count;
  });
  expect((calls[1] ?? 0) / (calls[0] ?? 1)).toBeLessThan(6);
});

test('a tree that is deeper than paths reach is backed up as far as they do, and what is below fails by name, once', async () => {
  makeDeep(3000, false);
  fs.writeFileSync(join(source(), 'z'), 'beside');
  // Before the folder goes: it is deeper than paths, or calls in calls, reach.
  const found = await walkInThread().finally(() => execFileSync('rm', ['-rf', source(), repository()]));
  expect(found).toMatchObject({ files: 1, failed: 1, failureCounts: [{ code: 'ENAMETOOLONG', side: 'destination', count: 1 }] });
  expect(found.failures[0]?.failure.message).toContain('nothing in it is backed up');
});

/** As workers do: their threads have more memory for calls in calls. */
async function walkInThread() {
  const run = new SnapshotRun(folder(), repository(), [source()]);
  const { location } = run;
  const owner = { clusterId: 'cluster', namespace: 'default', workflowId: 'snapshot', runId: location.runId };
  const pool = new ThreadPool(1);
  try {
    await pool.run('openRun', { location, owner, ground: await pool.run('inspectRun', { location }), needsHardLinks: false });
    const excludes = { patterns: [], caches: false, maxSizeBytes: null };
    return await pool.run('planSnapshot', { location, owner, sources: [{ path: source(), root: source() }], excludes, host: 'test-host', oneFileSystem: false, rehash: false, allowMissing: false, allowEmpty: false, leaveOut: [], syncEach: true });
  } finally {
    await pool.close();
  }
}

test('a path that is longer than any can be is kept as one that failed, and the rest is checked', async () => {
  const script = "const fs = require('fs'); fs.mkdirSync(process.argv[1]); process.chdir(process.argv[1]); for (let level = 0; level < 16; level += 1) { const name = 'n'.repeat(255); fs.mkdirSync(name); process.chdir(name); }";
  execFileSync(process.execPath, ['-e', script, source()]);
  fs.writeFileSync(join(source(), 'z'), 'beside');
  const run = new SnapshotRun(folder(), repository(), [source()]);
  run.take();
  execFileSync('rm', ['-rf', source()]);
  expect(openSnapshot(repository(), run.name).record).toMatchObject({ status: 'partial', counts: { files: 1, failed: 1 } });
  expect((await check(repository())).problems).toEqual([]);
});

test('what is missing deep down, or a link by now, is named', async () => {
  makeDeep(200, true);
  const run = takeSnapshot();
  const at = (levels: number): string => join(run.data, source(), ...Array.from({ length: levels }, () => 'd'));
  fs.rmSync(at(150), { recursive: true });
  fs.symlinkSync('/', at(150));
  fs.unlinkSync(join(at(10), 'z'));
  const { problems } = await check(repository(), null);
  const kinds = new Map(problems.map(({ kind }) => [kind, problems.filter((each) => each.kind === kind).length]));
  expect(kinds.get('wrongType')).toBe(1);
  // Fifty directories below, as many files with that of the link's, the last one, and that of the tenth level.
  expect(kinds.get('missing')).toBe(50 + 50 + 1 + 1);
  expect(named(problems).some((name) => name.endsWith(`${'/d'.repeat(10)}/z`))).toBe(true);
});

test('a branch leads to the right entries whichever way it is asked, and keeps few directories open', () => {
  makeDeep(500, true);
  const at = (levels: number): string => join(source(), ...Array.from({ length: levels }, () => 'd'));
  const before = fs.readdirSync('/proc/self/fd').length;
  const branch = new OpenBranch(folder());
  for (const levels of [0, 500, 499, 3, 200, 201, 72, 71, 500, 1, 0, 350]) expect(fs.statSync(branch.entry(at(levels))).ino).toBe(fs.statSync(at(levels)).ino);
  expect(() => branch.entry(join(at(20), 'none', 'file'))).toThrow('ENOENT');
  expect(() => branch.entry(join(at(20), 'z', 'file'))).toThrow('ENOTDIR');
  expect(fs.statSync(branch.entry(join(at(400), 'z'))).ino).toBe(fs.statSync(join(at(400), 'z')).ino);
  expect(fs.readdirSync('/proc/self/fd').length - before).toBeLessThan(140);
  branch.close();
  expect(fs.readdirSync('/proc/self/fd').length).toBe(before);
});
