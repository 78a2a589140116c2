import * as fs from 'node:fs';
import { join } from 'node:path';
import { discardRun } from '../../../src/storage/batch/discard-run';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { makeFifo } from '../../../src/storage/posix';
import { exactTree } from '../../helpers/exact-tree';
import { useFolder } from '../../helpers/files';
import { writeSnapshot } from '../../helpers/snapshot-fixture';
import { codeOf } from '../operation';
import { errnoError, interceptFs } from '../patched-fs';
import { Restore } from './restore';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const source = (...names: string[]): string => path('source', ...names);
const restored = (...names: string[]): string => join(path('target'), source(...names));

beforeEach(() => {
  initRepository(path('repository'));
  for (const name of ['disk/deep', 'other']) fs.mkdirSync(source(name), { recursive: true });
  for (const name of ['first', 'disk/second', 'disk/deep/third', 'other/fourth']) fs.writeFileSync(source(name), `content of ${name}`);
  fs.linkSync(source('disk', 'second'), source('disk', 'twin'));
  fs.symlinkSync('second', source('disk', 'link'));
  makeFifo(source('disk', 'deep', 'fifo'), 0o640);
  writeSnapshot(path('repository'), source());
  fs.mkdirSync(restored('disk'), { recursive: true });
});

const real = (where: unknown): string => {
  const [, descriptor, rest = ''] = /^\/proc\/self\/fd\/(\d+)(.*)$/s.exec(String(where)) ?? [];
  return descriptor === undefined ? String(where) : `${fs.readlinkSync(`/proc/self/fd/${descriptor}`)}${rest}`;
};
const isBelow = (directory: string, where: unknown): boolean => `${real(where)}/`.startsWith(`${directory}/`);

/** As if the directories were mount points of the very file system that they lie on: its device number is the same, but links and renames do not lead there. */
function withMounts<T>(mounts: () => readonly string[], calls: () => T): T {
  const mountOf = (where: unknown): number => mounts().findIndex((directory) => isBelow(directory, where));
  const restore = interceptFs(({ name, args }, proceed) => {
    const [, descriptor] = /^\/proc\/self\/fdinfo\/(\d+)$/.exec(String(args[0])) ?? [];
    const mount = descriptor === undefined ? -1 : mountOf(`/proc/self/fd/${descriptor}`);
    if (name === 'readFileSync' && mount >= 0) return `pos:\t0\nmnt_id:\t${1_000_000 + mount}\n`;
    if ((name === 'linkSync' || name === 'renameSync') && mountOf(args[0]) !== mountOf(args[1])) throw errnoError('EXDEV', 18);
    return proceed();
  });
  try {
    return calls();
  } finally {
    restore();
  }
}

/** As if this user might not make or change any entry of these directories themselves. */
function withoutRights<T>(directories: readonly string[], calls: () => T): T {
  const refuse = (where: string): void => {
    if (directories.includes(where)) throw errnoError('EACCES', 13);
  };
  const restore = interceptFs(({ name, args }, proceed) => {
    if (name === 'accessSync') refuse(real(args[0]));
    if (['mkdirSync', 'rmdirSync', 'unlinkSync'].includes(name)) refuse(join(real(args[0]), '..'));
    if (['linkSync', 'renameSync'].includes(name)) refuse(join(real(args[1]), '..'));
    return proceed();
  });
  try {
    return calls();
  } finally {
    restore();
  }
}

const own = (): string[] => Object.keys(exactTree(path('target'))).filter((name) => name.includes('.file-backup'));

test('what lies below a further mount is staged on that mount, and nothing of it stays', () => {
  withMounts(() => [restored('disk')], () => {
    const restore = new Restore(folder());
    expect(restore.preview().filter(([, , action]) => action !== 'restored')).toEqual([]);
    expect(restore.run()).toMatchObject({ failed: 0, skipped: 0 });
    expect(restore.places.map(({ location }) => location.beside)).toEqual([restored('disk')]);
  });
  expect(exactTree(restored(), { withTop: true })).toEqual(exactTree(source(), { withTop: true }));
  expect(own()).toEqual([]);
});

test('mounts below each other and beside each other have a place each', () => {
  for (const name of ['disk/deep', 'other']) fs.mkdirSync(restored(name), { recursive: true });
  withMounts(() => [restored('disk', 'deep'), restored('disk'), restored('other')], () => {
    const restore = new Restore(folder());
    expect(restore.run()).toMatchObject({ failed: 0 });
    expect(restore.places.map(({ location }) => location.beside).sort()).toEqual([restored('disk'), restored('disk', 'deep'), restored('other')]);
  });
  expect(exactTree(restored())).toEqual(exactTree(source()));
  expect(own()).toEqual([]);
});

test('a step that is repeated on several file systems answers the same', () => {
  withMounts(() => [restored('disk')], () => {
    const restore = new Restore(folder());
    restore.open();
    restore.plan();
    const first = restore.plan();
    expect(restore.plan()).toEqual(first);
    expect(restore.chunk().counts).toEqual({ backedUp: 4, unchanged: 0, failed: 0 });
    const finished = restore.finish();
    expect(restore.finish()).toEqual(finished);
    restore.close();
    restore.close();
  });
  expect(exactTree(restored(), { withTop: true })).toEqual(exactTree(source(), { withTop: true }));
});

test('what a run that was killed has staged on other file systems goes with the run', () => {
  withMounts(() => [restored('disk')], () => {
    const restore = new Restore(folder());
    restore.open();
    restore.plan();
    restore.chunk();
    expect(own().some((name) => name.includes('/disk/.file-backup-'))).toBe(true);
    discardRun(restore.location, restore.owner, restore.groundOfRun(), restore.places);
  });
  expect(own()).toEqual([]);
  expect(fs.readFileSync(restored('disk', 'second'), 'utf8')).toBe('content of disk/second');
});

test('a fenced run publishes nothing more, on whatever file system', () => {
  withMounts(() => [restored('disk')], () => {
    const restore = new Restore(folder());
    restore.open();
    restore.plan();
    restore.finish(true);
    expect(restore.chunk().counts).toEqual({ backedUp: 0, unchanged: 0, failed: 0 });
  });
  expect(fs.existsSync(restored('disk', 'second'))).toBe(false);
});

test('what was mounted after the restore was planned fails by name, and the rest is restored', () => {
  let mounts: string[] = [];
  withMounts(() => mounts, () => {
    const restore = new Restore(folder());
    restore.open();
    restore.plan();
    mounts = [restored('disk')];
    expect(restore.chunk().failed.map(({ failure }) => failure.code)).toEqual(['TargetInvalid', 'TargetInvalid']);
    expect(restore.finish().failures).toEqual([{ code: 'TargetInvalid', side: 'destination', count: 5 }]);
    restore.close();
  });
  expect(Object.keys(exactTree(restored()))).toEqual(expect.arrayContaining(['first', 'other/fourth']));
  expect(own()).toEqual([]);
});

test('a restore to where things were needs no right to write above them', () => {
  const above: string[] = [];
  for (let directory = restored(); directory !== path('target'); ) above.push((directory = join(directory, '..')));
  withoutRights(above, () => {
    const restore = new Restore(folder());
    expect(restore.preview().filter(([, , action]) => action === 'conflict')).toEqual([]);
    expect(restore.run()).toMatchObject({ failed: 0 });
    expect(restore.location.beside).toBe(restored());
  });
  expect(exactTree(restored(), { withTop: true })).toEqual(exactTree(source(), { withTop: true }));
  expect(own()).toEqual([]);
});

test('where nothing may be written, preview and run refuse alike', () => {
  const restore = new Restore(folder());
  const directories = Object.keys(exactTree(path('target'), { withTop: true })).map((name) => (name === '' ? path('target') : path('target', name)));
  withoutRights(directories, () => {
    expect(codeOf(() => restore.preview())).toBe('EACCES');
    expect(codeOf(() => restore.open())).toBe('EACCES');
  });
  expect(own()).toEqual([]);
});

test('a destination that cannot be made is refused by the preview as by the run', () => {
  const target = path('closed', 'target');
  fs.mkdirSync(path('closed'));
  withoutRights([path('closed')], () => {
    expect(codeOf(() => new Restore(folder(), { target }).preview())).toBe('EACCES');
    expect(codeOf(() => new Restore(folder(), { target }).open())).toBe('EACCES');
  });
});

test('what may not be written inside of the destination fails by name before it is copied, as the preview says', () => {
  fs.mkdirSync(restored('other'));
  const reads: string[] = [];
  withoutRights([restored('other')], () => {
    const restore = new Restore(folder());
    const conflicts = restore.previewEntries().filter(({ action }) => action === 'conflict');
    const note = interceptFs(({ name, args }, proceed) => {
      if (name === 'openSync' && String(args[0]).endsWith('/0')) reads.push(real(args[0]));
      return proceed();
    });
    const finished = restore.run();
    note();
    expect(finished.failureSample.map(({ path: name, code, message }) => [name, code, message])).toEqual([[source('other', 'fourth'), 'EACCES', `${restored('other')} may not be written to: EACCES`]]);
    expect(conflicts.map(({ path: name, reason }) => [name, reason])).toEqual([[source('other', 'fourth'), `${restored('other')} may not be written to: EACCES`]]);
  });
  expect(own()).toEqual([]);
});
