import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { adoptTarget } from '../../src/storage/adopt-target';
import type { ReadBack } from '../../src/storage/read-back';
import { contentOf, damage, openDescriptors, sha256, useFolder } from '../helpers/files';
import { codeOf, Operation } from './operation';
import { interceptFs, withPatched } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const content = contentOf(1, 1024 * 1024 + 1);

beforeEach(() => fs.writeFileSync(path('source'), content));

function adopt(operation: Operation): ReadBack | undefined {
  return adoptTarget(operation.location, folder(), operation.sourcePath, operation.control);
}

test('a finished target whose staging is gone is taken over', () => {
  const operation = new Operation(folder()).complete();
  expect(adopt(operation)).toMatchObject({ sha256: sha256(content), sizeBytes: content.length });
});

test('it is made durable again, since nobody knows whether it was: the file, then its name', () => {
  const operation = new Operation(folder()).complete();
  const synced: string[] = [];
  const restore = interceptFs(({ name, args }, proceed) => {
    if (name === 'fsyncSync') synced.push(fs.readlinkSync(`/proc/self/fd/${String(args[0])}`));
    return proceed();
  });
  try {
    adopt(operation);
  } finally {
    restore();
  }
  expect(synced).toEqual([path('target'), folder()]);
});

test.each([
  ['is missing', () => undefined],
  ['holds other bytes', () => fs.writeFileSync(path('target'), 'other')],
  ['is damaged', () => { fs.copyFileSync(path('source'), path('target')); damage(path('target'), 1000); }],
  ['is shorter', () => fs.writeFileSync(path('target'), content.subarray(0, 1000))],
  ['is a directory', () => fs.mkdirSync(path('target'))],
  ['is a symbolic link to such a file', () => { fs.copyFileSync(path('source'), path('copy')); fs.symlinkSync('copy', path('target')); }],
  ['is a FIFO', () => void execFileSync('mkfifo', [path('target')])],
])('a target that %s is not adopted', (_title, make) => {
  const operation = new Operation(folder());
  make();
  expect(adopt(operation)).toBeUndefined();
});

test('a FIFO is not taken for an empty file, and does not hang the thread', () => {
  fs.writeFileSync(path('source'), '');
  const operation = new Operation(folder());
  execFileSync('mkfifo', [path('target')]);
  expect(adopt(operation)).toBeUndefined();
});

test('a source that changed since makes the target an old one', () => {
  const operation = new Operation(folder()).complete();
  fs.appendFileSync(path('source'), 'x');
  expect(adopt(operation)).toBeUndefined();
});

test('a source that is gone is reported as such', () => {
  const operation = new Operation(folder()).complete();
  fs.unlinkSync(path('source'));
  expect(codeOf(() => adopt(operation))).toBe('ENOENT');
});

test('a destination that is away is not one without a target', () => {
  fs.mkdirSync(path('disk'));
  const operation = new Operation(folder(), path('source'), path('disk', 'target')).complete();
  fs.renameSync(path('disk'), path('unplugged'));
  fs.mkdirSync(path('disk'));
  expect(codeOf(() => adopt(operation))).toBe('DestinationGone');
});

test('a cancelled attempt stops, and no descriptor stays open', () => {
  const operation = new Operation(folder()).complete();
  const before = openDescriptors();
  operation.control.cancel();
  expect(codeOf(() => adopt(operation))).toBe('Cancelled');
  expect(openDescriptors()).toBe(before);
});

test('an unreadable target is an error, not a missing one', () => {
  const operation = new Operation(folder()).complete();
  const fail = (args: readonly unknown[], proceed: () => unknown): unknown => {
    if (fs.readlinkSync(`/proc/self/fd/${String(args[0])}`) === path('target')) throw Object.assign(new Error('EIO'), { code: 'EIO', errno: -5 });
    return proceed();
  };
  expect(codeOf(() => withPatched('readSync', fail, () => adopt(operation)))).toBe('EIO');
});
