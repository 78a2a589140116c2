import * as fs from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { StagingRegistry, type RegisteredStaging } from '../../src/storage/staging-registry';
import { failureTypeOf } from '../../src/failures';
import { useFolder } from '../helpers/files';
import { thrownBy } from './operation';
import { Crash, crashing, errnoError, interceptFs, withPatched } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const listed = (): string[] => fs.readdirSync(join(folder(), 'state', 'staging')).sort();
const registry = (): StagingRegistry => new StagingRegistry(join(folder(), 'state'));

function entry(runId: string): RegisteredStaging {
  const destination = { path: '/backups', device: '1', inode: '2' };
  const owner = { clusterId: 'cluster', namespace: 'default', workflowId: 'backup', runId };
  return { owner, location: { root: '/', targetPath: '/backups/new\nname', runId, destination }, createdDirectories: ['/backups/new'] };
}

test('an empty one lists nothing and creates nothing', () => {
  expect(registry().list()).toEqual([]);
  expect(fs.readdirSync(folder())).toEqual([]);
});

test('what was added is listed, by another instance too, until it is removed', () => {
  registry().add(entry('one'));
  registry().add(entry('two'));
  expect(registry().list()).toEqual([entry('one'), entry('two')]);
  registry().remove('one');
  expect(registry().list()).toEqual([entry('two')]);
});

test('a run is found with all places where it stages', () => {
  const { owner } = entry('run');
  const destination = { path: '/home/alice', device: '1', inode: '2' };
  const run = { kind: 'run' as const, owner, location: { root: '/', destination: '/', runId: 'run', beside: '/home/alice' }, ground: { destination, missingDirectories: [] }, rollBack: false, chunks: null, facts: {}, places: [{ ...destination, path: '/srv' }] };
  registry().add(run);
  expect(registry().findRun('run')).toEqual(run);
});

test('adding twice is adding once, and removing twice is no trouble', () => {
  registry().add(entry('one'));
  registry().add(entry('one'));
  expect(registry().list()).toHaveLength(1);
  registry().remove('one');
  registry().remove('one');
  expect(listed()).toEqual([]);
});

test('its directory and files are for their owner alone: they hold paths', () => {
  const umask = process.umask(0);
  try {
    registry().add(entry('one'));
  } finally {
    process.umask(umask);
  }
  expect(fs.statSync(join(folder(), 'state', 'staging')).mode & 0o777).toBe(0o700);
  expect(fs.statSync(join(folder(), 'state', 'staging', 'one.json')).mode & 0o777).toBe(0o600);
});

test('an entry is durable before it is reported: in a directory that is, written and synced aside, named, the name synced', () => {
  const order: string[] = [];
  const restore = interceptFs(({ name, args }, proceed) => {
    if (name === 'writeFileSync') order.push(`write, flush: ${String((args[2] as { flush?: boolean }).flush)}`);
    if (name === 'renameSync' || name === 'fsyncSync') order.push(name);
    return proceed();
  });
  try {
    registry().add(entry('one'));
  } finally {
    restore();
  }
  expect(order).toEqual(['fsyncSync', 'write, flush: true', 'renameSync', 'fsyncSync']);
});

test('a death at any moment of adding leaves no half entry, and the repeated call and the removal leave nothing', () => {
  for (const halfDone of [false, true]) {
    for (let nth = 1; nth <= 4; nth += 1) {
      const { restart } = crashing(nth, { halfDone });
      expect(() => registry().add(entry('one'))).toThrow(Crash);
      restart();
      for (const found of registry().list()) expect(found).toEqual(entry('one'));
      registry().add(entry('one'));
      registry().remove('one');
      expect(listed()).toEqual([]);
    }
  }
});

test('an entry that is removed while the list is read is not there', () => {
  registry().add(entry('one'));
  registry().add(entry('two'));
  const removeFirst = (args: readonly unknown[], proceed: () => unknown): unknown => {
    if (String(args[0]).endsWith('one.json')) fs.unlinkSync(String(args[0]));
    return proceed();
  };
  expect(withPatched('openSync', removeFirst, () => registry().list())).toEqual([entry('two')]);
});

test('an unreadable list is an error, not an empty one', () => {
  registry().add(entry('one'));
  fs.rmSync(join(folder(), 'state', 'staging'), { recursive: true });
  fs.writeFileSync(join(folder(), 'state', 'staging'), 'no directory');
  expect(() => registry().list()).toThrow('ENOTDIR');
});

describe('a state directory that cannot be used is what is blamed', () => {
  const error = { code: 'StateDirectoryError' };

  test.each(['ENOSPC', 'EROFS', 'EIO'] as const)('when an entry cannot be written: %s', (code) => {
    const failing = withPatched('writeFileSync', () => { throw errnoError(code, constants.errno[code]); }, () => thrownBy(() => registry().add(entry('one'))));
    expect(failing).toMatchObject({ ...error, path: join(folder(), 'state') });
    expect(failing.message).toContain(`${join(folder(), 'state')} cannot be used: ${code}`);
    expect(failureTypeOf(failing.code, failing.side)).toBe('StateDirectoryError');
  });

  test('when an entry cannot be removed, or the list not be read', () => {
    registry().add(entry('one'));
    const eio = (): never => { throw errnoError('EIO', constants.errno.EIO); };
    expect(withPatched('unlinkSync', eio, () => thrownBy(() => registry().remove('one')))).toMatchObject(error);
    expect(withPatched('readdirSync', eio, () => thrownBy(() => registry().list()))).toMatchObject(error);
  });

  test('when an entry is not as it was written; the others are answered all the same', () => {
    registry().add(entry('one'));
    registry().add(entry('two'));
    fs.writeFileSync(join(folder(), 'state', 'staging', 'one.json'), '{"half');
    const findings: string[] = [];
    expect(registry().list(({ code }) => findings.push(code))).toEqual([entry('two')]);
    expect(findings).toEqual(['StateDirectoryError']);
  });
});
