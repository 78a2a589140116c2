import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { treeOf, useFolder } from '../helpers/files';

/** The preload that kill -9 tests of whole workers use, tried on small programs. */
const preload = resolve(__dirname, '../helpers/fault-fs.cjs');
const folder = useFolder();

function run(program: string, faults: Record<string, string>): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, ['--require', preload, '--eval', program], { cwd: folder(), env: { ...process.env, ...faults }, encoding: 'utf8' });
}

const names = (): string[] => Object.keys(treeOf(folder()));
const renames = 'const fs = require("node:fs"); for (const n of [1, 2, 3]) fs.renameSync(`.file-backup-${n}`, `done-${n}`);';

beforeEach(() => {
  for (const n of [1, 2, 3]) fs.writeFileSync(join(folder(), `.file-backup-${n}`), String(n));
});

test('without its variables it changes nothing', () => {
  expect(run(renames, {}).status).toBe(0);
  expect(names()).toEqual(['done-1', 'done-2', 'done-3']);
});

test('kills the process just before the wanted call', () => {
  expect(run(renames, { FILE_BACKUP_FAULT_KILL: 'renameSync:2' }).signal).toBe('SIGKILL');
  expect(names()).toEqual(['.file-backup-2', '.file-backup-3', 'done-1']);
});

test('kills the process just after the wanted call', () => {
  expect(run(renames, { FILE_BACKUP_FAULT_KILL: 'renameSync:2:after' }).signal).toBe('SIGKILL');
  expect(names()).toEqual(['.file-backup-3', 'done-1', 'done-2']);
});

test('kills from a worker thread as well', () => {
  const program = `const { Worker } = require('node:worker_threads'); new Worker(${JSON.stringify(renames)}, { eval: true }).on('exit', () => process.exit(0));`;
  expect(run(program, { FILE_BACKUP_FAULT_KILL: 'renameSync:3' }).signal).toBe('SIGKILL');
  expect(names()).toEqual(['.file-backup-3', 'done-1', 'done-2']);
});

test('does not count calls about other paths', () => {
  fs.writeFileSync(join(folder(), 'other'), 'x');
  const program = `const fs2 = require('node:fs'); fs2.renameSync('other', 'another'); ${renames}`;
  expect(run(program, { FILE_BACKUP_FAULT_KILL: 'renameSync:1' }).signal).toBe('SIGKILL');
  expect(names()).toContain('another');
  expect(run(renames.replace('[1, 2, 3]', '[1]'), { FILE_BACKUP_FAULT_KILL: 'renameSync:1', FILE_BACKUP_FAULT_PATH: 'elsewhere' }).status).toBe(0);
});

test.each([
  ['a descriptor', 'fs.fsyncSync(descriptor)', 'fsyncSync'],
  ['a descriptor to write to', 'fs.writeSync(descriptor, "x")', 'writeSync'],
  ['a path through a descriptor', 'fs.unlinkSync(`/proc/self/fd/${directory}/2`)', 'unlinkSync'],
])('finds out what %s is about', (_title, call, name) => {
  fs.mkdirSync(join(folder(), '.file-backup-d'));
  fs.writeFileSync(join(folder(), '.file-backup-d', '2'), 'x');
  const program = `const fs = require('node:fs'); const descriptor = fs.openSync('.file-backup-1', 'r+'); const directory = fs.openSync('.file-backup-d', 'r'); ${call};`;
  expect(run(program, { FILE_BACKUP_FAULT_KILL: `${name}:1` }).signal).toBe('SIGKILL');
  expect(run(program, { FILE_BACKUP_FAULT_KILL: `${name}:1`, FILE_BACKUP_FAULT_PATH: 'elsewhere' }).status).toBe(0);
});

test.each([
  ['EIO', -5],
  ['EDQUOT', -122],
])('throws %s once, with its number', (code, errno) => {
  const program = `
    const fs = require('node:fs');
    const descriptor = fs.openSync('.file-backup-1', 'r+');
    let caught;
    try { fs.fsyncSync(descriptor); } catch ({ code, errno, syscall }) { caught = { code, errno, syscall }; }
    fs.fsyncSync(descriptor);
    console.log(JSON.stringify(caught));`;
  expect(JSON.parse(run(program, { FILE_BACKUP_FAULT_ERROR: `fsyncSync:1:${code}` }).stdout)).toEqual({ code, errno, syscall: 'fsync' });
});

test.each([
  ['renameSync', 'is no number of a call'],
  ['renamSync:1', 'has no synchronous function renamSync'],
  ['renameSync:1:later', 'neither before nor after'],
])('refuses "%s" rather than to test nothing', (value, message) => {
  const { status, stderr } = run('', { FILE_BACKUP_FAULT_KILL: value });
  expect(status).not.toBe(0);
  expect(stderr).toContain(message);
});
