import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { TransferControl } from '../../../src/storage/control';
import { findLeftovers, LEFTOVERS_AFTER_MS, sweepLeftovers } from '../../../src/storage/snapshot/leftovers';
import { unlistSnapshot } from '../../../src/storage/snapshot/remove-snapshot';
import { incomingDirectory, initRepository } from '../../../src/storage/snapshot/repository';
import { inWorkbench } from '../../../src/storage/snapshot/repair/workbench';
import { contentOf, treeOf, useFolder } from '../../helpers/files';
import { writeSnapshot } from '../../helpers/snapshot-fixture';
import { SnapshotRun } from './snapshot-run';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const folder = useFolder();
const repository = (): string => join(folder(), 'repository');
const source = (...names: string[]): string => join(folder(), 'source', ...names);
const incoming = (...names: string[]): string => join(incomingDirectory(repository()), ...names);

beforeEach(() => {
  initRepository(repository());
  fs.mkdirSync(source());
  fs.writeFileSync(source('large'), contentOf(1, 300_000));
});

/** Of the other process's note in the run's directory, this process's. */
function noteOf(directory: string): string {
  return join(directory, fs.readdirSync(directory).find((name) => name.startsWith('worker-')) ?? 'none');
}

function edit(path: string, changes: object): void {
  fs.writeFileSync(path, JSON.stringify({ ...(JSON.parse(fs.readFileSync(path, 'utf8')) as object), ...changes }));
}

/** A run that was killed between its chunk and its end. */
function lostRun(): SnapshotRun {
  const run = new SnapshotRun(folder(), repository(), [source()]);
  run.plan();
  run.chunk();
  edit(noteOf(run.directory), { startTicks: '1' });
  return run;
}

const control = (): TransferControl => new TransferControl();
const find = (laterMs = 0) => findLeftovers({ repository: repository(), nowMs: Date.now() + laterMs }, control());
const sweep = (afterMs: number, laterMs = 0, dryRun = false) => sweepLeftovers({ repository: repository(), afterMs, dryRun, nowMs: Date.now() + laterMs }, control());

test('what a run has left whose worker has ended is named with size and age, and goes when its time has come', () => {
  const run = lostRun();
  const [left, ...others] = find();
  expect(others).toEqual([]);
  expect(left).toMatchObject({ kind: 'snapshot', path: `.file-backup/incoming/${run.location.runId}`, worker: 'ended' });
  expect(left?.sizeBytes).toBeGreaterThan(300_000);
  expect(Math.abs(Date.now() - Date.parse(left?.changedAt ?? ''))).toBeLessThan(60_000);
  expect(sweep(LEFTOVERS_AFTER_MS, 6 * DAY_MS)).toMatchObject({ removed: [], left: [{ kind: 'snapshot' }] });
  expect(fs.readdirSync(incoming())).toHaveLength(1);
  expect(sweep(LEFTOVERS_AFTER_MS, 8 * DAY_MS, true).removed).toHaveLength(1);
  expect(fs.readdirSync(incoming())).toHaveLength(1);
  expect(sweep(LEFTOVERS_AFTER_MS, 8 * DAY_MS)).toMatchObject({ removed: [{ kind: 'snapshot' }], left: [], problems: [] });
  expect(fs.readdirSync(incoming())).toEqual([]);
});

test('it goes at once on request', () => {
  lostRun();
  expect(sweep(0).removed).toHaveLength(1);
  expect(fs.readdirSync(incoming())).toEqual([]);
});

test('what a worker that lives works on is neither named nor removed, however long it takes', async () => {
  const run = lostRun();
  const other = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
  try {
    const stat = (): string => fs.readFileSync(`/proc/${other.pid}/stat`, 'utf8');
    edit(noteOf(run.directory), { pid: other.pid, startTicks: stat().slice(stat().lastIndexOf(')') + 2).split(' ')[19] });
    expect(find(100 * DAY_MS)).toEqual([]);
    expect(sweep(0, 100 * DAY_MS)).toEqual({ removed: [], left: [], problems: [] });
    expect(fs.readdirSync(incoming())).toEqual([run.location.runId]);
  } finally {
    other.kill('SIGKILL');
    await once(other, 'exit');
  }
  expect(find()).toHaveLength(1);
});

test.each([
  ['of another host', { host: 'elsewhere', bootId: 'another' }],
  ['of another container', { pidNamespace: 'pid:[1]' }],
])('where the note is %s nobody can tell, and a day is waited for whatever is asked for', (_what, changes) => {
  edit(noteOf(lostRun().directory), changes);
  expect(find()).toEqual([]);
  expect(find(2 * HOUR_MS)).toMatchObject([{ worker: 'unknown' }]);
  expect(sweep(0, 2 * HOUR_MS).removed).toEqual([]);
  expect(sweep(0, 25 * HOUR_MS).removed).toHaveLength(1);
});

test('a start of the machine ends every worker on it', () => {
  edit(noteOf(lostRun().directory), { bootId: 'before' });
  expect(sweep(0).removed).toHaveLength(1);
});

test.each(['not JSON', '{}', '[]', 'null'])('a note that is none tells nothing: %s', (text) => {
  fs.writeFileSync(noteOf(lostRun().directory), text);
  expect(find(2 * HOUR_MS)).toMatchObject([{ worker: 'unknown' }]);
});

test('a run without a note, as earlier versions leave, is one that nobody can tell of', () => {
  fs.rmSync(noteOf(lostRun().directory));
  expect(find()).toEqual([]);
  expect(sweep(0, 25 * HOUR_MS).removed).toHaveLength(1);
});

test('copies that other snapshots share count for neither size nor age', () => {
  const first = new SnapshotRun(folder(), repository(), [source()]);
  first.take();
  const lost = new SnapshotRun(folder(), repository(), [source()]);
  lost.plan();
  lost.chunk();
  edit(noteOf(lost.directory), { startTicks: '1' });
  expect(find()[0]?.sizeBytes).toBeLessThan(300_000 + 2 * 1024 * 1024);
  sweep(0);
  expect(fs.statSync(join(first.data, source('large'))).nlink).toBe(1);
});

test('the run that goes on after its worker was killed is none that is left', () => {
  const run = lostRun();
  run.seal();
  expect(find()).toEqual([]);
  expect(sweep(0)).toEqual({ removed: [], left: [], problems: [] });
});

test('what a repair that was killed has left goes with whoever comes next', () => {
  const killed = incoming(`repair-${randomUUID()}`);
  inWorkbench(repository(), control(), (bench) => {
    bench.symlink('nowhere');
    const [name = ''] = fs.readdirSync(incoming());
    fs.cpSync(incoming(name), killed, { recursive: true });
    // One that is under way is left alone.
    expect(find()).toEqual([]);
    edit(noteOf(killed), { startTicks: '1' });
  });
  expect(find()).toMatchObject([{ kind: 'repair' }]);
  inWorkbench(repository(), control(), () => expect(fs.existsSync(killed)).toBe(false));
  expect(fs.readdirSync(incoming())).toEqual([]);
});

test('prune removes what a repair has left without waiting', () => {
  fs.mkdirSync(incoming(`repair-${randomUUID()}`));
  expect(sweep(LEFTOVERS_AFTER_MS, 25 * HOUR_MS).removed).toMatchObject([{ kind: 'repair' }]);
});

test('what was taken out of the list and not deleted is named', () => {
  const name = writeSnapshot(repository(), source());
  unlistSnapshot(repository(), name);
  expect(find(2 * HOUR_MS)).toMatchObject([{ kind: 'removed', path: expect.stringContaining(`.file-backup/removed/${name}-`) as string }]);
});

test('what nothing here has made is neither named nor removed, and links are not followed', () => {
  const precious = join(folder(), 'precious');
  fs.mkdirSync(precious);
  fs.writeFileSync(join(precious, 'file'), 'precious');
  fs.mkdirSync(incoming('notes'));
  fs.symlinkSync(precious, incoming(randomUUID()));
  const run = lostRun();
  fs.symlinkSync(precious, join(run.directory, 'link'));
  const before = treeOf(precious);
  expect(sweep(0, 100 * DAY_MS).removed).toHaveLength(1);
  expect(fs.readdirSync(incoming())).toHaveLength(2);
  expect(treeOf(precious)).toEqual(before);
});
