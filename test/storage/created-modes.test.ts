import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { runsDirectory } from '../../src/storage/batch/run-directory';
import { initRepository } from '../../src/storage/snapshot/repository';
import { writeTarget } from '../../src/storage/write-target';
import { TransferControl } from '../../src/storage/control';
import { inspectFile } from '../../src/storage/inspect-file';
import { isRoot, useFolder } from '../helpers/files';
import { Operation } from './operation';
import { Run } from './batch/run';
import { withPatched } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const mode = (...names: string[]): string => (fs.statSync(path(...names)).mode & 0o7777).toString(8);

/** Files that everybody may read, in directories that not everybody may enter. */
let umask: number;
beforeEach(() => {
  umask = process.umask(0o022);
  fs.chmodSync(folder(), 0o755);
  for (const [name, bits] of [['open', 0o755], ['home', 0o700], ['home/docs', 0o755], ['shared', 0o3777], ['group', 0o750], ['through', 0o711]] as const) {
    fs.mkdirSync(path(name));
    fs.writeFileSync(path(name, 'file'), `content of ${name}`, { mode: 0o644 });
    fs.chmodSync(path(name), bits);
  }
});
afterEach(() => process.umask(umask));

/** What another user can read there, or nothing. */
function readByOther(file: string): string {
  return spawnSync('cat', [file], { uid: 12_345, gid: 12_345, encoding: 'utf8', cwd: '/' }).stdout;
}

const asRoot = isRoot ? test : test.skip;

describe('a batch in the layout tree', () => {
  const names = ['open', 'home', 'home/docs', 'shared', 'group', 'through'];
  const copy = (name: string): string => join('backups', path(name, 'file'));
  function backUp(): void {
    fs.mkdirSync(path('backups'));
    const run = new Run(folder(), false);
    run.plan(names.map((name) => path(name, 'file')), 'tree');
    expect(run.run().counts).toMatchObject({ backedUp: names.length });
    run.seal();
  }

  test('makes directories that nobody may look into who could not look into those of the source', () => {
    backUp();
    const modes = Object.fromEntries(names.map((name) => [name, mode(dirname(copy(name)))]));
    expect(modes).toEqual({ open: '755', home: '700', 'home/docs': '755', shared: '755', group: '700', through: '711' });
  });

  asRoot('shows another user what he could read before, and no more', () => {
    backUp();
    const readable = (file: (name: string) => string): string[] => names.filter((name) => readByOther(path(file(name))) !== '');
    expect(readable((name) => join(name, 'file'))).toEqual(['open', 'shared', 'through']);
    expect(readable(copy)).toEqual(['open', 'shared', 'through']);
  });

  test('gives no more than the umask does', () => {
    process.umask(0o027);
    backUp();
    expect(mode(dirname(copy('open')))).toBe('750');
  });

  test('leaves directories as they are that were there before', () => {
    fs.mkdirSync(join(path('backups'), path('home')), { recursive: true });
    fs.chmodSync(join(path('backups'), path('home')), 0o750);
    const run = new Run(folder(), false);
    run.plan([path('home', 'file')], 'tree');
    run.run();
    expect(mode(dirname(copy('home')))).toBe('750');
  });

  test('keeps to the directory that a file was opened in, when its path leads elsewhere by then', () => {
    fs.mkdirSync(path('backups'));
    const run = new Run(folder(), false);
    run.plan([path('home', 'file')], 'tree');
    const exchange = (args: readonly unknown[], proceed: () => unknown): unknown => {
      const descriptor = proceed();
      if (String(args[0]).endsWith('/file') && !fs.existsSync(path('away'))) {
        fs.renameSync(path('home'), path('away'));
        fs.mkdirSync(path('home'), { mode: 0o755 });
      }
      return descriptor;
    };
    expect(withPatched('openSync', exchange, () => run.run().counts)).toMatchObject({ backedUp: 1 });
    expect(fs.existsSync(path('away'))).toBe(true);
    expect(mode(dirname(copy('home')))).toBe('700');
  });
});

test('the directory of a batch, and the parents of it, are for their owner alone when the batch makes them', () => {
  const run = new Run(folder(), false, path('new', 'backups'));
  run.plan([path('open', 'file')]);
  run.run();
  run.seal();
  const records = runsDirectory(run.location).slice(folder().length + 1);
  expect(['new', 'new/backups', 'new/backups/.file-backup', records, join(records, run.location.runId)].map((name) => mode(name))).toEqual(Array(5).fill('700'));
  const inside = fs.readdirSync(run.directory).map((name) => mode(join(records, run.location.runId, name)));
  expect(new Set(inside)).toEqual(new Set(['600']));
});

describe('parents of a single target are for their owner alone', () => {
  test('when it is published at once', () => {
    new Operation(folder(), path('open', 'file'), path('new', 'sub', 'copy')).complete();
    expect([mode('new'), mode('new', 'sub')]).toEqual(['700', '700']);
  });

  test('when it is written in place', () => {
    const pair = { sourceRoot: folder(), sourcePath: path('open', 'file'), targetRoot: folder(), targetPath: path('new', 'sub', 'copy') };
    const { destination, missingDirectories } = inspectFile(pair);
    writeTarget({ root: folder(), targetPath: pair.targetPath, destination, missingDirectories, sourceRoot: folder(), sourcePath: pair.sourcePath, onSourceChanged: 'fail' }, new TransferControl());
    expect([mode('new'), mode('new', 'sub')]).toEqual(['700', '700']);
  });

  asRoot('so that another user can read the copy no more than the file in a private home', () => {
    new Operation(folder(), path('home', 'file'), path('new', 'copy')).complete();
    expect(fs.readFileSync(path('new', 'copy'), 'utf8')).toBe('content of home');
    expect([readByOther(path('home', 'file')), readByOther(path('new', 'copy'))]).toEqual(['', '']);
  });
});

test('a repository is for its owner alone', () => {
  initRepository(path('repository'));
  const modes = ['repository', 'repository/.file-backup', 'repository/.file-backup/incoming', 'repository/.file-backup/removed', 'repository/.file-backup/repository.json'].map((name) => mode(name));
  expect(modes).toEqual(['700', '700', '700', '700', '600']);
});
