import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import { join } from 'node:path';
import { failureTypeOf } from '../../src/failures';
import { inspectFile, type Inspected } from '../../src/storage/inspect-file';
import { isRoot, openDescriptors, treeOf, useFolder, withoutRights } from '../helpers/files';
import { codeOf, thrownBy } from './operation';
import { withPatched } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);

function inspect(sourcePath = path('source'), targetPath = path('target'), targetRoot = folder()): Inspected {
  return inspectFile({ sourceRoot: folder(), sourcePath, targetRoot, targetPath });
}

/** The failure type that users see. */
function failureOf(calls: () => unknown): string {
  const { code, side } = thrownBy(calls);
  return failureTypeOf(code, side);
}

beforeEach(() => fs.writeFileSync(path('source'), 'content of the source'));

test('answers what source and destination are and creates nothing', () => {
  fs.mkdirSync(path('there'));
  const before = treeOf(folder());
  const inspected = inspect(path('source'), path('there', 'a', 'b', 'target'));
  expect(inspected.source).toMatchObject({ sizeBytes: 21, inode: String(fs.statSync(path('source')).ino) });
  expect(inspected.destination).toMatchObject({ path: path('there'), inode: String(fs.statSync(path('there')).ino) });
  expect(inspected.missingDirectories).toEqual([path('there', 'a'), path('there', 'a', 'b')]);
  expect(treeOf(folder())).toEqual(before);
});

test('a target in an existing directory needs no parents', () => {
  expect(inspect()).toMatchObject({ missingDirectories: [], destination: { path: folder() } });
});

describe('sources that are refused', () => {
  test('a missing one', () => {
    expect(failureOf(() => inspect(path('nothing')))).toBe('SourceNotFound');
  });

  test('one below a missing directory, or below a file', () => {
    expect(failureOf(() => inspect(path('nowhere', 'source')))).toBe('SourceNotFound');
    expect(failureOf(() => inspect(path('source', 'below')))).toBe('SourceNotCanonical');
  });

  test('a directory', () => {
    fs.mkdirSync(path('directory'));
    const error = thrownBy(() => inspect(path('directory')));
    expect(error).toMatchObject({ code: 'SourceNotRegularFile', found: { found: 'a directory' } });
  });

  test('a FIFO without a writer, and without waiting for one', () => {
    execFileSync('mkfifo', [path('fifo')]);
    expect(thrownBy(() => inspect(path('fifo'))).message).toContain('is a FIFO');
  });

  test('a FIFO that takes the place of a file between looking and opening does not hang either', () => {
    const swap = (args: readonly unknown[], proceed: () => unknown): unknown => {
      if (String(args[0]).endsWith('/source')) {
        fs.unlinkSync(path('source'));
        execFileSync('mkfifo', [path('source')]);
      }
      return proceed();
    };
    expect(codeOf(() => withPatched('openSync', swap, () => inspect()))).toBe('SourceNotRegularFile');
  });

  test('a symbolic link that takes the place of a file between looking and opening is not followed', () => {
    fs.writeFileSync(path('secret'), 'x');
    const swap = (args: readonly unknown[], proceed: () => unknown): unknown => {
      if (String(args[0]).endsWith('/source')) {
        fs.unlinkSync(path('source'));
        fs.symlinkSync('secret', path('source'));
      }
      return proceed();
    };
    expect(failureOf(() => withPatched('openSync', swap, () => inspect()))).toBe('SourceNotRegularFile');
  });

  test('a device', () => {
    expect(failureOf(() => inspectFile({ sourceRoot: '/', sourcePath: '/dev/null', targetRoot: folder(), targetPath: path('target') }))).toBe('SourceNotRegularFile');
  });

  test('a socket', async () => {
    const server = net.createServer();
    await new Promise<void>((resolve) => void server.listen(path('socket'), resolve));
    try {
      expect(thrownBy(() => inspect(path('socket'))).message).toContain('is a socket');
    } finally {
      server.close();
    }
  });

  test('a symbolic link, even to a regular file', () => {
    fs.symlinkSync('source', path('link'));
    expect(thrownBy(() => inspect(path('link')))).toMatchObject({ code: 'SourceNotRegularFile', found: { found: 'a symbolic link' } });
  });

  test('one whose parent is a symbolic link: the real path is named', () => {
    fs.mkdirSync(path('real'));
    fs.writeFileSync(path('real', 'file'), 'x');
    fs.symlinkSync('real', path('link'));
    const error = thrownBy(() => inspect(path('link', 'file')));
    expect(error.code).toBe('SourceNotCanonical');
    expect(error.message).toContain(`its real path is ${path('real')}`);
  });

  test('one outside of its root', () => {
    expect(failureOf(() => inspectFile({ sourceRoot: path('allowed'), sourcePath: path('source'), targetRoot: folder(), targetPath: path('target') }))).toBe('PermissionDenied');
  });

  test('one that the worker may not read (rights are dropped when root runs this)', () => {
    fs.chmodSync(folder(), 0o755);
    fs.chmodSync(path('source'), 0o000);
    expect(failureOf(() => withoutRights(() => inspect()))).toBe('PermissionDenied');
  });
});

test('a source in a directory that may be entered but not listed is read all the same (rights are dropped when root runs this)', () => {
  fs.chmodSync(folder(), 0o755);
  fs.mkdirSync(path('dark'));
  fs.writeFileSync(path('dark', 'source'), 'x');
  fs.chmodSync(path('dark'), 0o711);
  if (!isRoot) fs.chmodSync(path('dark'), 0o111);
  try {
    expect(withoutRights(() => inspect(path('dark', 'source'))).source.sizeBytes).toBe(1);
  } finally {
    fs.chmodSync(path('dark'), 0o755);
  }
});

describe('source and target that are one file', () => {
  const sameFile = (source: string, target: string): void => {
    const before = treeOf(folder());
    expect(codeOf(() => inspect(source, target))).toBe('SameFile');
    expect(treeOf(folder())).toEqual(before);
  };

  test('by name', () => sameFile(path('source'), path('source')));

  test('by hard link', () => {
    fs.linkSync(path('source'), path('target'));
    sameFile(path('source'), path('target'));
  });

  test('by a symbolic link as target', () => {
    fs.symlinkSync('source', path('target'));
    sameFile(path('source'), path('target'));
  });

  test('by a symbolic link as source', () => {
    fs.symlinkSync('source', path('link'));
    sameFile(path('link'), path('source'));
  });

  test('through a parent that is a symbolic link', () => {
    fs.symlinkSync('.', path('here'));
    sameFile(path('source'), path('here', 'source'));
  });
});

describe('targets that are refused', () => {
  test('a directory', () => {
    fs.mkdirSync(path('target'));
    expect(codeOf(() => inspect())).toBe('TargetInvalid');
  });

  test('a symbolic link: the file that it names is named', () => {
    fs.writeFileSync(path('elsewhere'), 'x');
    fs.symlinkSync('elsewhere', path('target'));
    expect(thrownBy(() => inspect())).toMatchObject({ code: 'TargetNotCanonical', found: { found: 'elsewhere' } });
  });

  test('a FIFO, without waiting', () => {
    execFileSync('mkfifo', [path('target')]);
    expect(codeOf(() => inspect())).toBe('TargetInvalid');
  });

  test('one whose parent is a symbolic link, and nothing is created behind it', () => {
    fs.mkdirSync(path('real'));
    fs.symlinkSync('real', path('link'));
    expect(codeOf(() => inspect(path('source'), path('link', 'target')))).toBe('TargetNotCanonical');
    expect(codeOf(() => inspect(path('source'), path('link', 'new', 'target')))).toBe('TargetNotCanonical');
    expect(fs.readdirSync(path('real'))).toEqual([]);
  });

  test('one below a regular file', () => {
    expect(failureOf(() => inspect(path('source'), path('source', 'below')))).toMatch(/^Target/);
    expect(failureOf(() => inspect(path('source'), path('source', 'deep', 'below')))).toMatch(/^Target/);
  });

  test('one outside of its root', () => {
    fs.mkdirSync(path('root'));
    expect(failureOf(() => inspect(path('source'), path('target'), path('root')))).toBe('PermissionDenied');
  });

  test.each([
    ['256 letters', 'n'.repeat(256)],
    ['256 bytes in 128 letters', 'ü'.repeat(128)],
  ])('a name of %s, and the message says how long it is', (_title, name) => {
    const error = thrownBy(() => inspect(path('source'), path(name)));
    expect(error.code).toBe('TargetInvalid');
    expect(error.message).toContain('256 bytes, 255 are possible');
  });

  test('a missing parent with a name of 256 bytes', () => {
    expect(thrownBy(() => inspect(path('source'), path('n'.repeat(256), 'target'))).message).toContain('256 bytes, 255 are possible');
  });
});

test.each([
  ['255 letters', 'n'.repeat(255)],
  ['255 bytes in 128 letters', `${'ü'.repeat(127)}u`],
  ['a line break, a quote and a backslash', 'a\nb"c\\d'],
])('a name of %s is accepted', (_title, name) => {
  expect(inspect(path('source'), path(name)).missingDirectories).toEqual([]);
});

describe('the destination', () => {
  test('a root that is not there is a destination that is gone, not one to be created', () => {
    expect(codeOf(() => inspect(path('source'), path('mount', 'target'), path('mount')))).toBe('DestinationGone');
    expect(fs.existsSync(path('mount'))).toBe(false);
  });

  test('too little free space is refused with both figures', () => {
    const full = (): unknown => ({ bavail: 2n, bsize: 10n, blocks: 100n });
    expect(thrownBy(() => withPatched('statfsSync', full, () => inspect()))).toMatchObject({ code: 'NoSpace', found: { expected: '21', found: '20' } });
    const justEnough = (): unknown => ({ bavail: 3n, bsize: 7n, blocks: 100n });
    expect(withPatched('statfsSync', justEnough, () => inspect()).source.sizeBytes).toBe(21);
  });

  test('a file system that does not say how large it is counts as large enough', () => {
    const unlimited = (): unknown => ({ bavail: 0n, bsize: 4096n, blocks: 0n });
    expect(withPatched('statfsSync', unlimited, () => inspect()).source.sizeBytes).toBe(21);
  });
});

test('no descriptor stays open, whatever the end', () => {
  const before = openDescriptors();
  inspect();
  codeOf(() => inspect(path('nothing')));
  codeOf(() => inspect(path('source'), path('source')));
  fs.symlinkSync('.', path('here'));
  codeOf(() => inspect(path('here', 'source')));
  expect(openDescriptors()).toBe(before);
});

test('mkfifo is there, or these tests would have shown nothing', () => {
  expect(spawnSync('mkfifo', ['--version']).status).toBe(0);
});
