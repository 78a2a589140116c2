import * as fs from 'node:fs';
import { join } from 'node:path';
import { probeDestination } from '../../src/storage/probe-destination';
import { openDescriptors, treeOf, useFolder } from '../helpers/files';
import { codeOf, Operation, thrownBy, writePrevious } from './operation';
import { errnoError, interceptFs, withInterruption, withoutHardLinks, withPatched } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);

beforeEach(() => fs.writeFileSync(path('source'), 'content of the source'));

describe('the staging directory', () => {
  test('stands beside the target, for its owner alone, and holds a record', () => {
    const umask = process.umask(0);
    try {
      const operation = new Operation(folder());
      expect(operation.prepare()).toEqual({ previous: null, hardLinks: true });
      expect(fs.readdirSync(folder()).sort()).toEqual([`.file-backup-${operation.runId}`, 'source'].sort());
      expect(fs.statSync(operation.stagingPath).mode & 0o7777).toBe(0o700);
      expect(fs.readdirSync(operation.stagingPath)).toEqual(['record.json']);
      expect(fs.statSync(join(operation.stagingPath, 'record.json')).mode & 0o7777).toBe(0o600);
    } finally {
      process.umask(umask);
    }
  });

  test('says whose it is, so that the janitor can ask whether the run is closed', () => {
    const operation = new Operation(folder());
    operation.prepare();
    const record: unknown = JSON.parse(fs.readFileSync(join(operation.stagingPath, 'record.json'), 'utf8'));
    expect(record).toMatchObject({ formatVersion: 1, owner: operation.owner, targetPath: path('target') });
  });

  test('tells what the target was, with all that identifies it', () => {
    writePrevious(path('target'));
    const { ino, mtimeNs } = fs.statSync(path('target'), { bigint: true });
    expect(new Operation(folder()).prepare().previous).toMatchObject({ inode: String(ino), mtimeNs: String(mtimeNs), sizeBytes: 16 });
  });

  test('is found to have no hard links where linking is refused', () => {
    expect(withoutHardLinks(() => new Operation(folder()).prepare()).hardLinks).toBe(false);
  });

  test.each([
    ['EIO', 5],
    ['ENOSPC', 28],
  ])('is not taken for one without hard links because of %s', (code, errno) => {
    const operation = new Operation(folder());
    expect(codeOf(() => withPatched('linkSync', () => { throw errnoError(code, errno); }, () => operation.prepare()))).toBe(code);
  });

  test('is durable with its record before the step reports: each directory is synced after what was made in it', () => {
    const operation = new Operation(folder(), path('source'), path('a', 'b', 'target'));
    const order: string[] = [];
    const restore = interceptFs(({ name, args }, proceed) => {
      const result = proceed();
      if (name === 'mkdirSync') order.push(`made ${String(args[0]).split('/').pop() ?? ''}`);
      if (name === 'fsyncSync') order.push(`synced ${fs.readlinkSync(`/proc/self/fd/${String(args[0])}`).slice(folder().length)}`);
      return result;
    });
    try {
      operation.prepare();
    } finally {
      restore();
    }
    const staging = `.file-backup-${operation.runId}`;
    expect(order).toEqual(['made a', 'synced ', 'made b', 'synced /a', `made ${staging}`, `synced /a/b/${staging}`, 'synced /a/b']);
  });
});

describe('repeated', () => {
  test('it answers the same, although the target has changed since', () => {
    writePrevious(path('target'));
    const operation = new Operation(folder());
    const first = operation.prepare();
    fs.unlinkSync(path('target'));
    expect(operation.prepare()).toEqual(first);
    fs.writeFileSync(path('target'), 'somebody else\'s');
    expect(operation.prepare()).toEqual(first);
  });

  test('it answers the same although its own work is published by now', () => {
    const operation = new Operation(folder()).readyToPublish();
    operation.publish();
    expect(operation.prepare().previous).toBeNull();
    expect(operation.unpublish()).toBe('removed');
  });

  test('while an earlier attempt is at work it takes that one\'s answer', () => {
    const operation = new Operation(folder());
    // The first attempt has found no target and is about to write its record; the second one finds one.
    const overtake = (): void => {
      writePrevious(path('target'));
      operation.prepare();
    };
    const first = withInterruption('writeFileSync', 2, overtake, () => operation.prepare());
    expect(first).toEqual(operation.prepare());
    expect(first.previous).not.toBeNull();
    expect(fs.readdirSync(operation.stagingPath)).toEqual(['record.json']);
  });

  test('a staged file of an earlier attempt stays', () => {
    const operation = new Operation(folder()).readyToPublish();
    operation.prepare();
    expect(fs.existsSync(operation.stagedPath)).toBe(true);
  });
});

describe('refusals', () => {
  test('after it was revoked it is not made again', () => {
    const operation = new Operation(folder());
    operation.prepare();
    fs.renameSync(operation.stagingPath, operation.revokedPath);
    expect(codeOf(() => operation.prepare())).toBe('StagingRevoked');
    expect(fs.existsSync(operation.stagingPath)).toBe(false);
  });

  test.each([
    ['directory', 'TargetInvalid', () => fs.mkdirSync(path('target'))],
    ['symbolic link', 'TargetNotCanonical', () => fs.symlinkSync('source', path('target'))],
  ])('a target that became a %s meanwhile', (_title, code, make) => {
    const operation = new Operation(folder());
    make();
    expect(codeOf(() => operation.prepare())).toBe(code);
  });

  test('a name that somebody else took with a file', () => {
    const operation = new Operation(folder());
    fs.writeFileSync(operation.stagingPath, 'x');
    expect(codeOf(() => operation.prepare())).toBe('DestinationConflict');
    expect(fs.readFileSync(operation.stagingPath, 'utf8')).toBe('x');
  });

  test('a parent that became a symbolic link: nothing is created behind it', () => {
    fs.mkdirSync(path('there'));
    fs.mkdirSync(path('elsewhere'));
    const operation = new Operation(folder(), path('source'), path('there', 'new', 'target'));
    fs.renameSync(path('there'), path('moved'));
    fs.symlinkSync('elsewhere', path('there'));
    expect(codeOf(() => operation.prepare())).toMatch(/DestinationGone|TargetNotCanonical/);
    expect(fs.readdirSync(path('elsewhere'))).toEqual([]);
  });

  test('a missing parent in whose place a symbolic link appeared', () => {
    fs.mkdirSync(path('elsewhere'));
    const operation = new Operation(folder(), path('source'), path('new', 'target'));
    fs.symlinkSync('elsewhere', path('new'));
    expect(codeOf(() => operation.prepare())).toBe('TargetNotCanonical');
    expect(fs.readdirSync(path('elsewhere'))).toEqual([]);
  });

  test('a destination that is not the one of the beginning, as when its disk was unmounted: no parent is created on what lies below', () => {
    fs.mkdirSync(path('disk'));
    const operation = new Operation(folder(), path('source'), path('disk', 'new', 'target'));
    fs.renameSync(path('disk'), path('unplugged'));
    expect(thrownBy(() => operation.prepare())).toMatchObject({ code: 'DestinationGone', path: path('disk') });
    fs.mkdirSync(path('disk'));
    expect(codeOf(() => operation.prepare())).toBe('DestinationGone');
    expect(fs.readdirSync(path('disk'))).toEqual([]);
  });

  test('no descriptor stays open', () => {
    const before = openDescriptors();
    const operation = new Operation(folder());
    codeOf(() => withPatched('linkSync', () => { throw errnoError('EIO', 5); }, () => operation.prepare()));
    codeOf(() => withPatched('fsyncSync', () => { throw errnoError('EIO', 5); }, () => operation.prepare()));
    operation.prepare();
    expect(openDescriptors()).toBe(before);
  });
});

describe('a destination over a restart of the machine', () => {
  /** Device numbers are handed out anew; on btrfs, NFS and others that happens with every mount. */
  function withStats<T>(bornNs: bigint, renumbered: boolean, calls: () => T): T {
    const change = (_args: readonly unknown[], proceed: () => unknown): unknown => {
      const stats = proceed() as fs.BigIntStats | undefined;
      return typeof stats?.dev !== 'bigint' ? stats : Object.assign(stats, { birthtimeNs: bornNs, dev: renumbered ? stats.dev + 1n : stats.dev });
    };
    return withPatched('lstatSync', change, () => withPatched('fstatSync', change, calls));
  }

  test('is still the same when only its device number has changed', () => {
    const operation = withStats(1n, false, () => new Operation(folder()));
    withStats(1n, true, () => operation.readyToPublish().publish());
    withStats(1n, true, () => operation.finalize());
    withStats(1n, true, () => operation.finalize());
    expect(fs.readdirSync(folder()).sort()).toEqual(['source', 'target']);
  });

  test('is another one when another directory has its inode number', () => {
    const operation = withStats(1n, false, () => new Operation(folder()));
    expect(codeOf(() => withStats(2n, false, () => operation.prepare()))).toBe('DestinationGone');
  });

  test('is known by its device number where the file system does not tell when a directory was made', () => {
    const operation = withStats(0n, false, () => new Operation(folder()));
    expect(codeOf(() => withStats(0n, true, () => operation.prepare()))).toBe('DestinationGone');
    expect(withStats(0n, false, () => operation.prepare()).previous).toBeNull();
  });
});

describe('the probe of a destination', () => {
  test('leaves nothing behind', () => {
    const before = treeOf(folder());
    probeDestination(folder());
    expect(treeOf(folder())).toEqual(before);
  });

  test('that cannot write says why, and leaves nothing behind', () => {
    const before = treeOf(folder());
    const fail = (args: readonly unknown[]): never => {
      fs.writeFileSync(String(args[0]), '');
      throw errnoError('ENOSPC', 28);
    };
    expect(thrownBy(() => withPatched('writeFileSync', fail, () => probeDestination(folder())))).toMatchObject({ code: 'ENOSPC', side: 'destination' });
    expect(treeOf(folder())).toEqual(before);
  });

  test('of a root in which only others may write says nothing against it', () => {
    expect(() => withPatched('writeFileSync', () => { throw errnoError('EACCES', 13); }, () => probeDestination(folder()))).not.toThrow();
  });

  test('of a missing directory fails', () => {
    expect(codeOf(() => probeDestination(path('nowhere')))).toBe('ENOENT');
  });
});
