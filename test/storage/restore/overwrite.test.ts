import * as fs from 'node:fs';
import { join } from 'node:path';
import { makeFifo, setEntryTimes } from '../../../src/storage/posix';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { exactTree } from '../../helpers/exact-tree';
import { useFolder } from '../../helpers/files';
import { writeSnapshot } from '../../helpers/snapshot-fixture';
import { Restore } from './restore';

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const source = (...names: string[]): string => path('source', ...names);
const restored = (...names: string[]): string => join(path('target'), source(...names));

beforeEach(() => {
  initRepository(path('repository'));
  fs.mkdirSync(source('directory'), { recursive: true });
  for (const name of ['same', 'other-content', 'same-size-and-time', 'other-mode', 'missing']) fs.writeFileSync(source(name), `recorded ${name}`);
  fs.symlinkSync('recorded', source('link'));
  makeFifo(source('fifo'), 0o600);
  fs.linkSync(source('same'), source('twin'));
  writeSnapshot(path('repository'), source());
  new Restore(folder()).run();
  fs.unlinkSync(restored('missing'));
  fs.writeFileSync(restored('other-content'), 'of the user, and newer');
  const { mtimeNs } = fs.statSync(restored('same-size-and-time'), { bigint: true });
  fs.writeFileSync(restored('same-size-and-time'), 'RECORDED same-size-and-time');
  setEntryTimes(restored('same-size-and-time'), mtimeNs);
  fs.chmodSync(restored('other-mode'), 0o600);
  fs.unlinkSync(restored('link'));
  fs.symlinkSync('of the user', restored('link'));
  fs.chmodSync(restored('fifo'), 0o644);
  // A copy in place of a second name.
  fs.copyFileSync(restored('same'), path('copy'));
  setEntryTimes(path('copy'), fs.statSync(restored('same'), { bigint: true }).mtimeNs);
  fs.renameSync(path('copy'), restored('twin'));
});

const content = (name: string): string => fs.readFileSync(restored(name), 'utf8');
const inode = (name: string): number => fs.lstatSync(restored(name)).ino;

test('"always" leaves only what is as recorded, by content, mode and time', () => {
  const before = [inode('same'), inode('directory')];
  const finished = new Restore(folder(), { overwrite: 'always' }).run();
  expect(exactTree(restored())).toEqual(exactTree(source()));
  expect([inode('same'), inode('directory')]).toEqual(before);
  // The source itself, and the seven that differed.
  expect(finished).toMatchObject({ restored: 8, unchanged: 2, failed: 0, skipped: 0 });
});

test('"if-changed" takes files of the recorded size and time as they are', () => {
  const finished = new Restore(folder(), { overwrite: 'ifChanged' }).run();
  expect(finished).toMatchObject({ failed: 0, skipped: 0 });
  expect([content('same-size-and-time'), content('other-content'), content('missing')]).toEqual(['RECORDED same-size-and-time', 'recorded other-content', 'recorded missing']);
  expect(fs.readlinkSync(restored('link'))).toBe('recorded');
});

test('"never" leaves everything that exists, and counts it', () => {
  fs.rmdirSync(restored('directory'));
  const before = exactTree(restored());
  const finished = new Restore(folder(), { overwrite: 'never' }).run();
  const { missing, directory, ...others } = exactTree(restored());
  expect(others).toEqual(Object.fromEntries(Object.entries(before).filter(([name]) => name in others)));
  expect([missing, directory].map((text) => text?.split(' ')[0])).toEqual(['file', 'directory']);
  expect(finished).toMatchObject({ entries: 10, restored: 2, unchanged: 0, failed: 0, skipped: 8, skippedByReason: { exists: 8 }, skippedSample: [] });
});

test('a further name is not linked to a file that was left as it is', () => {
  const { mtimeNs } = fs.statSync(restored('same'), { bigint: true });
  fs.writeFileSync(restored('same'), 'RECORDED same');
  setEntryTimes(restored('same'), mtimeNs);
  fs.unlinkSync(restored('twin'));
  new Restore(folder(), { overwrite: 'never' }).run();
  expect([content('same'), content('twin')]).toEqual(['RECORDED same', 'recorded same']);
});

test('a replaced file is a new one: other names of the old one keep their content', () => {
  fs.linkSync(restored('other-content'), path('kept'));
  new Restore(folder()).run();
  expect([content('other-content'), fs.readFileSync(path('kept'), 'utf8')]).toEqual(['recorded other-content', 'of the user, and newer']);
});

describe.each(['always', 'ifChanged', 'never'] as const)('with "%s" what is of another kind fails by name and is left alone', (overwrite) => {
  const others: Record<string, (at: string) => void> = {
    'a directory': (at) => fs.mkdirSync(at),
    'a symbolic link': (at) => fs.symlinkSync(path('outside'), at),
    'a FIFO': (at) => makeFifo(at, 0o600),
    'a regular file': (at) => fs.writeFileSync(at, 'x'),
  };
  test.each([
    ['missing', 'a directory'],
    ['missing', 'a symbolic link'],
    ['missing', 'a FIFO'],
    ['link', 'a regular file'],
    ['link', 'a directory'],
    ['fifo', 'a symbolic link'],
    ['twin', 'a symbolic link'],
    ['directory', 'a symbolic link'],
    ['directory', 'a regular file'],
  ])('%s, where %s is', (name, kind) => {
    fs.writeFileSync(path('outside'), 'outside');
    fs.rmSync(restored(name), { recursive: true, force: true });
    others[kind]?.(restored(name));
    const before = exactTree(folder(), { skip: ['repository', 'source'] });
    const finished = new Restore(folder(), { overwrite }).run();
    expect(finished).toMatchObject({ failed: 1, failures: [{ code: 'TargetInvalid', side: 'destination', count: 1 }] });
    expect(finished.failureSample[0]?.message).toMatch(`${name} is ${kind} and should be `);
    const after = exactTree(folder(), { skip: ['repository', 'source'] });
    const names = ['outside', restored(name).slice(folder().length + 1)];
    expect(names.map((each) => after[each])).toEqual(names.map((each) => before[each]));
  });
});

test('a directory that is a link to elsewhere fails all that would go through it, and nothing else', () => {
  fs.mkdirSync(path('elsewhere'));
  fs.rmSync(path('target'), { recursive: true });
  fs.mkdirSync(join(restored(), '..'), { recursive: true });
  fs.symlinkSync(path('elsewhere'), restored());
  const finished = new Restore(folder()).run();
  expect(finished.restored + finished.unchanged).toBe(0);
  expect(finished.failed).toBe(10);
  expect(finished.failures.map(({ code }) => code).sort()).toEqual(['TargetInvalid', 'TargetNotCanonical']);
  expect(fs.readdirSync(path('elsewhere'))).toEqual([]);
});

test('all failures are in a file when they are more than the sample, and only then', () => {
  fs.rmSync(path('target'), { recursive: true });
  for (let index = 0; index < 30; index += 1) fs.writeFileSync(source(`file-${index}`), 'x');
  writeSnapshot(path('repository'), source(), { startedAt: new Date(Date.now() + 60_000) });
  for (let index = 0; index < 25; index += 1) fs.mkdirSync(restored(`file-${index}`), { recursive: true });
  const restore = new Restore(folder());
  const finished = restore.run();
  expect(finished).toMatchObject({ failed: 25, failures: [{ code: 'TargetInvalid', count: 25 }] });
  expect(finished.failureSample).toHaveLength(20);
  const { failuresPath } = finished;
  expect(fs.readFileSync(failuresPath ?? '', 'utf8').trim().split('\n').map((line) => (JSON.parse(line) as { path: string }).path)).toHaveLength(25);
  expect(fs.readdirSync(join(failuresPath ?? '', '..'))).toEqual(['failures.ndjson']);
  for (let index = 0; index < 10; index += 1) fs.rmdirSync(restored(`file-${index}`));
  fs.rmSync(join(path('target'), '.file-backup'), { recursive: true });
  expect(new Restore(folder()).run()).toMatchObject({ failed: 15, failuresPath: null });
  expect(fs.existsSync(join(path('target'), '.file-backup'))).toBe(false);
});

test('a preview says what a restore then does, and writes nothing', () => {
  fs.rmSync(restored('directory'), { recursive: true });
  fs.writeFileSync(restored('directory'), 'in the way');
  const before = exactTree(path('target'));
  const preview = (overwrite: 'always' | 'ifChanged' | 'never'): Record<string, string> => Object.fromEntries(new Restore(folder(), { overwrite }).preview().map(([name, , action]) => [name.slice(source().length + 1), action]));
  const [always, ifChanged, never] = [preview('always'), preview('ifChanged'), preview('never')];
  expect(exactTree(path('target'))).toEqual(before);
  expect(always).toEqual({ '': 'restored', directory: 'conflict', fifo: 'restored', link: 'restored', missing: 'restored', 'other-content': 'restored', 'other-mode': 'restored', same: 'unchanged', 'same-size-and-time': 'restored', twin: 'restored' });
  expect(ifChanged).toMatchObject({ 'same-size-and-time': 'unchanged', 'other-content': 'restored', 'other-mode': 'unchanged', twin: 'unchanged' });
  expect(never).toEqual({ ...Object.fromEntries(Object.keys(always).map((name) => [name, 'kept'])), directory: 'conflict', missing: 'restored' });
  const count = (actions: Record<string, string>, action: string): number => Object.values(actions).filter((each) => each === action).length;
  expect(new Restore(folder(), { overwrite: 'never' }).run()).toMatchObject({ restored: count(never, 'restored'), skipped: count(never, 'kept'), failed: count(never, 'conflict') });
  const finished = new Restore(folder(), { overwrite: 'always' }).run();
  expect(finished).toMatchObject({ unchanged: count(always, 'unchanged') + 1, failed: 1 });
});
