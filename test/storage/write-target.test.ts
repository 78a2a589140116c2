import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { TransferControl } from '../../src/storage/control';
import type { Copied } from '../../src/storage/copy';
import { inspectFile } from '../../src/storage/inspect-file';
import { verifyTarget } from '../../src/storage/verify-file';
import { writeTarget } from '../../src/storage/write-target';
import { contentOf, damage, openDescriptors, sha256, treeOf, useFolder } from '../helpers/files';
import { codeOf, thrownBy, writePrevious } from './operation';
import { errnoError, interceptFs, withPatched } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const content = contentOf(1, 1024 * 1024 + 17);

beforeEach(() => fs.writeFileSync(path('source'), content, { mode: 0o640 }));

/** Something may happen between the look at both ends and the writing. */
function write(targetPath = path('target'), meanwhile = (): void => undefined): Copied {
  const root = folder();
  const pair = { sourceRoot: root, sourcePath: path('source'), targetRoot: root, targetPath };
  const { destination, missingDirectories } = inspectFile(pair);
  meanwhile();
  return writeTarget({ root, targetPath, destination, missingDirectories, sourceRoot: root, sourcePath: path('source'), onSourceChanged: 'fail' }, new TransferControl());
}

test('a new target gets content, mode and time of the source', () => {
  fs.utimesSync(path('source'), 1_000_000_000, 1_000_000_000.123456);
  expect(write()).toMatchObject({ sha256: sha256(content), sizeBytes: content.length, changed: false, ownerKept: true });
  expect(fs.readFileSync(path('target')).equals(content)).toBe(true);
  expect(fs.statSync(path('target')).mode & 0o7777).toBe(0o640);
  expect(fs.statSync(path('target'), { bigint: true }).mtimeNs / 1000n).toBe(1_000_000_000_123_456n);
});

test('missing parents are created, and nothing else appears', () => {
  write(path('a', 'b', 'target'));
  expect(Object.keys(treeOf(folder()))).toEqual(['a', 'a/b', 'a/b/target', 'source']);
});

test('a longer previous target is replaced to its end, in the same file', () => {
  writePrevious(path('target'), 'p'.repeat(2 * content.length));
  const { ino } = fs.statSync(path('target'));
  write();
  expect(fs.readFileSync(path('target')).equals(content)).toBe(true);
  expect(fs.statSync(path('target')).ino).toBe(ino);
});

test('an open previous target is closed to others before a private source is written into it', () => {
  fs.chmodSync(path('source'), 0o600);
  writePrevious(path('target'));
  fs.chmodSync(path('target'), 0o666);
  const modes = new Set<number>();
  const look = (_args: readonly unknown[], proceed: () => unknown): unknown => {
    modes.add(fs.statSync(path('target')).mode & 0o777);
    return proceed();
  };
  withPatched('writeSync', look, () => write());
  expect([...modes]).toEqual([0o600]);
});

describe('a target that is something else by the time of writing is refused, untouched', () => {
  test('the source itself: it is not emptied', () => {
    expect(codeOf(() => write(path('target'), () => fs.linkSync(path('source'), path('target'))))).toBe('SameFile');
    expect(fs.readFileSync(path('source')).equals(content)).toBe(true);
  });

  test('a symbolic link: what it names is not written to', () => {
    fs.writeFileSync(path('victim'), 'precious');
    expect(codeOf(() => write(path('target'), () => fs.symlinkSync('victim', path('target'))))).toBe('TargetNotCanonical');
    expect(fs.readFileSync(path('victim'), 'utf8')).toBe('precious');
  });

  test('a symbolic link that appears behind the last look', () => {
    fs.writeFileSync(path('victim'), 'precious');
    const restore = interceptFs(({ name, args }, proceed) => {
      if (name === 'openSync' && String(args[0]).endsWith('/target')) fs.symlinkSync('victim', path('target'));
      return proceed();
    });
    try {
      expect(codeOf(() => write())).toBe('EEXIST');
    } finally {
      restore();
    }
    expect(fs.readFileSync(path('victim'), 'utf8')).toBe('precious');
  });

  test('a directory', () => {
    expect(codeOf(() => write(path('target'), () => fs.mkdirSync(path('target'))))).toBe('TargetInvalid');
  });

  test('a FIFO, without waiting for a reader', () => {
    expect(codeOf(() => write(path('target'), () => void execFileSync('mkfifo', [path('target')])))).toBe('TargetInvalid');
  });

  test('one below a parent that became a symbolic link', () => {
    fs.mkdirSync(path('there'));
    fs.mkdirSync(path('elsewhere'));
    const swap = (): void => {
      fs.rmdirSync(path('there'));
      fs.symlinkSync('elsewhere', path('there'));
    };
    expect(codeOf(() => write(path('there', 'target'), swap))).toMatch(/TargetNotCanonical|DestinationGone/);
    expect(fs.readdirSync(path('elsewhere'))).toEqual([]);
  });
});

test('a destination that was replaced meanwhile is gone, and nothing is created on what lies there now', () => {
  fs.mkdirSync(path('disk'));
  const unplug = (): void => {
    fs.renameSync(path('disk'), path('unplugged'));
    fs.mkdirSync(path('disk'));
  };
  expect(codeOf(() => write(path('disk', 'new', 'target'), unplug))).toBe('DestinationGone');
  expect(fs.readdirSync(path('disk'))).toEqual([]);
});

test('a source that changes while it is read fails, and what was written stays, as announced', () => {
  const grow = (args: readonly unknown[], proceed: () => unknown): unknown => {
    fs.appendFileSync(path('source'), 'x');
    return proceed() ?? args;
  };
  expect(codeOf(() => withPatched('fchmodSync', (_args, proceed) => proceed(), () => withPatched('readSync', grow, () => write())))).toBe('SourceChanged');
  expect(fs.existsSync(path('target'))).toBe(true);
});

test('a failed sync is reported as the destination\'s', () => {
  const error = thrownBy(() => withPatched('fsyncSync', () => { throw errnoError('EIO', 5); }, () => write()));
  expect(error).toMatchObject({ code: 'EIO', side: 'destination' });
});

describe('reading the target back', () => {
  const verify = (copied: Copied): unknown => verifyTarget(folder(), path('target'), copied, 'device', new TransferControl());

  test('finds a good one good', () => {
    expect(verify(write())).toMatchObject({ from: expect.stringMatching(/^(device|cache)$/) as string });
  });

  test('finds a damaged one and names both digests', () => {
    const copied = write();
    damage(path('target'), 77);
    expect(thrownBy(() => verify(copied))).toMatchObject({ code: 'ChecksumMismatch', found: { expected: copied.sha256, found: sha256(fs.readFileSync(path('target'))) } });
  });
});

test('no descriptor stays open, whatever the end', () => {
  const before = openDescriptors();
  write();
  codeOf(() => write(path('link'), () => fs.linkSync(path('source'), path('link'))));
  codeOf(() => withPatched('fsyncSync', () => { throw errnoError('EIO', 5); }, () => write()));
  expect(openDescriptors()).toBe(before);
});
