import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OpenDirectory } from '../../src/storage/directory';
import { initRepository } from '../../src/storage/snapshot/repository';
import { acceptAnyDestination } from '../../src/storage/trust';
import { writeTarget } from '../../src/storage/write-target';
import { asUser, contentOf, isRoot, STRANGER, useFolder } from '../helpers/files';
import { writeSnapshot } from '../helpers/snapshot-fixture';
import { Run } from './batch/run';
import { codeOf, Operation, thrownBy } from './operation';
import { Restore } from './restore/restore';
import { SnapshotRun } from './snapshot/snapshot-run';

/** What needs another user's rights cannot be tried without root's. */
const asRoot = isRoot ? describe : describe.skip;
const USER = 65_534;

const folder = useFolder(tmpdir);
const path = (...names: string[]): string => join(folder(), ...names);

interface Made {
  readonly owner?: number;
  readonly group?: number;
  readonly mode?: number;
}

function make(name: string, { owner = 0, group = owner, mode = 0o755 }: Made = {}): string {
  fs.mkdirSync(path(name), { recursive: true });
  fs.chownSync(path(name), owner, group);
  fs.chmodSync(path(name), mode);
  return path(name);
}

function writeSource(name = 'source'): string {
  fs.writeFileSync(path(name), contentOf(name, 3000), { mode: 0o644 });
  return path(name);
}

beforeEach(() => fs.chmodSync(folder(), 0o755));
afterEach(() => acceptAnyDestination(false));

function backUpFile(target: string): void {
  new Operation(folder(), writeSource(), target).complete();
  expect(fs.readFileSync(target).equals(contentOf('source', 3000))).toBe(true);
}

function backUpBatch(destination: string): void {
  const run = new Run(folder(), false, destination);
  run.plan([writeSource()]);
  run.run();
  expect(run.seal()).toMatchObject({ backedUp: 1, failed: 0 });
}

function restoreInto(target: string): void {
  make('home');
  writeSource('home/file');
  initRepository(path('repository'));
  writeSnapshot(path('repository'), path('home'));
  expect(new Restore(folder(), { target }).run()).toMatchObject({ failed: 0 });
  expect(fs.existsSync(join(target, path('home/file')))).toBe(true);
}

asRoot('everyday destinations simply work', () => {
  test('a target directly in a directory that all may write to, as /tmp is, as root and as a user', () => {
    make('tmp', { mode: 0o1777 });
    backUpFile(path('tmp/x'));
    asUser(USER, () => new Operation(folder(), path('source'), path('tmp/y')).complete());
    expect(fs.statSync(path('tmp/y')).uid).toBe(USER);
  });

  test('the real one', () => {
    const target = join(fs.realpathSync(tmpdir()), `file-backup-test-${process.pid}.copy`);
    const operation = new Operation('/', writeSource(), target);
    operation.complete();
    fs.unlinkSync(target);
  });

  test('a directory that is made there, by a batch and by a restore', () => {
    make('tmp', { mode: 0o1777 });
    backUpBatch(path('tmp/batch'));
    restoreInto(path('tmp/restored'));
  });

  test('a home in which the user\'s own group may write, as umask 002 makes it', () => {
    make('ann', { owner: USER, mode: 0o775 });
    writeSource();
    asUser(USER, () => {
      new Operation(folder(), path('source'), path('ann/copies/x')).complete();
      const run = new Run(folder(), false, path('ann/copies'));
      run.plan([path('source')]);
      expect(run.run().counts).toMatchObject({ backedUp: 1 });
      expect(run.seal()).toMatchObject({ failed: 0 });
    });
  });

  test('a directory of root\'s, as /srv/backups is, and a batch into it whose umask lets the group write', () => {
    make('srv/backups');
    const before = process.umask(0o002);
    try {
      backUpFile(path('srv/backups/new/x'));
      backUpBatch(path('srv/backups/batch'));
    } finally {
      process.umask(before);
    }
  });

  test('a disk of the user\'s, mounted below directories of root\'s', () => {
    make('media/ann');
    make('media/ann/disk', { owner: USER, mode: 0o700 });
    writeSource();
    asUser(USER, () => new Operation(folder(), path('source'), path('media/ann/disk/x')).complete());
    expect(fs.existsSync(path('media/ann/disk/x'))).toBe(true);
  });

  test('a repository of the user\'s own', () => {
    make('ann', { owner: USER, mode: 0o755 });
    make('ann/files', { owner: USER });
    writeSource('ann/files/a');
    asUser(USER, () => {
      initRepository(path('ann/repository'));
      expect(new SnapshotRun(folder(), path('ann/repository'), [path('ann/files')]).take()).toMatchObject({ status: 'complete' });
    });
  });
});

asRoot('a destination in which somebody else can replace what is written is refused, unless it is accepted', () => {
  const doubtful: [string, () => string, string][] = [
    ['another user\'s', () => make('there', { owner: STRANGER }), `its owner, user ${STRANGER}`],
    ['below another user\'s', () => make('there', { owner: STRANGER }) && make('there/of-root'), `its owner, user ${STRANGER}`],
    ['one that all may write to', () => make('there', { mode: 0o777 }), 'every user'],
    ['another user\'s with a sticky bit', () => make('there', { owner: STRANGER, mode: 0o1777 }), `its owner, user ${STRANGER}`],
    ['one that a group may write to', () => make('there', { group: STRANGER, mode: 0o775 }), `group ${STRANGER}`],
    ['one that root\'s own group may write to, as root', () => make('there', { mode: 0o775 }), 'group 0'],
  ];

  test.each(doubtful)('%s', (_title, makeDestination, who) => {
    const destination = makeDestination();
    writeSource();
    const refused = thrownBy(() => new Operation(folder(), path('source'), join(destination, 'x')));
    expect(refused.code).toBe('DestinationNotTrusted');
    expect(refused.message).toContain(`${who} can replace what is in`);
    expect(refused.message).toMatch(/owner \d+, group \d+, mode \d{4}/);
    expect(codeOf(() => new Run(folder(), false, destination).plan([path('source')]))).toBe('DestinationNotTrusted');
    expect(codeOf(() => initRepository(join(destination, 'repository')))).toBe('DestinationNotTrusted');
    expect(fs.readdirSync(destination)).toEqual([]);
    acceptAnyDestination(true);
    backUpFile(join(destination, 'x'));
    backUpBatch(join(destination, 'batch'));
    initRepository(join(destination, 'repository'));
  });

  test('one whose access control list lets another user write, behind the bits of the user\'s own group', () => {
    const directory = make('ann', { owner: USER, mode: 0o775 });
    const open = (): void => asUser(USER, () => OpenDirectory.open('/', directory, 'destination').close());
    open();
    // Version 2: the owner rwx, a named user rwx, the group rwx, the mask rwx, others r-x.
    const entries = [[1, 7, 0xffffffff], [2, 7, STRANGER], [4, 7, 0xffffffff], [16, 7, 0xffffffff], [32, 5, 0xffffffff]];
    execFileSync('python3', ['-c', 'import os, struct, sys, json; os.setxattr(sys.argv[1], "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in json.loads(sys.argv[2])))', directory, JSON.stringify(entries)]);
    expect(codeOf(open)).toBe('DestinationNotTrusted');
  });

  test('of a user, what lies above the first directory of the user\'s own is the system\'s', () => {
    make('shared', { group: STRANGER, mode: 0o775 });
    make('shared/ann', { owner: USER });
    asUser(USER, () => OpenDirectory.open('/', path('shared/ann'), 'destination').close());
  });

  test('it is looked at again by each step: one that has become doubtful is not written to', () => {
    make('there');
    const operation = new Operation(folder(), writeSource(), path('there/x')).readyToPublish();
    fs.chmodSync(path('there'), 0o777);
    expect(codeOf(() => operation.publish())).toBe('DestinationNotTrusted');
    expect(codeOf(() => operation.discard())).toBe('DestinationNotTrusted');
    fs.chmodSync(path('there'), 0o755);
    operation.discard();
    expect(fs.readdirSync(path('there'))).toEqual([]);
  });

  test('to look at what would be restored into it is no offence, and says that it would fail', () => {
    make('home');
    writeSource('home/file');
    initRepository(path('repository'));
    writeSnapshot(path('repository'), path('home'));
    make('there', { owner: STRANGER });
    for (const target of ['there', 'there/not-yet']) {
      const previewed = new Restore(folder(), { target: path(target) }).preview();
      expect(previewed.length).toBeGreaterThan(0);
      expect(previewed.every(([, , action]) => action === 'conflict')).toBe(true);
    }
  });
});

asRoot('in a directory that all may write to', () => {
  beforeEach(() => make('tmp', { mode: 0o1777 }));

  test('a staging directory that somebody else has made beforehand is not used, and nothing in it is deleted', () => {
    const operation = new Operation(folder(), writeSource(), path('tmp/x'));
    asUser(STRANGER, () => {
      fs.mkdirSync(operation.stagingPath, 0o777);
      fs.writeFileSync(join(operation.stagingPath, 'of-the-stranger'), 'x');
    });
    expect(codeOf(() => operation.prepare())).toBe('DestinationNotTrusted');
    expect(codeOf(() => operation.discard())).toBe('DestinationNotTrusted');
    expect(fs.readdirSync(operation.revokedPath)).toEqual(['of-the-stranger']);
    acceptAnyDestination(true);
    expect(codeOf(() => operation.discard())).toBe('DestinationNotTrusted');
  });

  test.each(['a directory', 'a link'])('a .file-backup that somebody else has made beforehand, as %s, is not used', (kind) => {
    make('victim', { mode: 0o755 });
    asUser(STRANGER, () => (kind === 'a link' ? fs.symlinkSync(path('victim'), path('tmp/.file-backup')) : fs.mkdirSync(path('tmp/.file-backup'), 0o777)));
    writeSource();
    const run = new Run(folder(), false, path('tmp'));
    expect(codeOf(() => run.plan([path('source')]))).toBe(kind === 'a link' ? 'TargetNotCanonical' : 'DestinationNotTrusted');
    expect(fs.statSync(path('victim')).mode & 0o777).toBe(0o755);
    expect(fs.readdirSync(path('tmp/.file-backup'))).toEqual([]);
  });

  test('a file of somebody else\'s is not written into in place', () => {
    asUser(STRANGER, () => fs.writeFileSync(path('tmp/x'), 'of the stranger', { mode: 0o666 }));
    const operation = new Operation(folder(), writeSource(), path('tmp/x'));
    const { destination, missingDirectories } = operation.inspected;
    const write = () => writeTarget({ root: folder(), targetPath: path('tmp/x'), destination, missingDirectories, sourceRoot: folder(), sourcePath: path('source'), onSourceChanged: 'fail' }, operation.control);
    expect(codeOf(write)).toBe('DestinationNotTrusted');
    expect(fs.readFileSync(path('tmp/x'), 'utf8')).toBe('of the stranger');
  });
});
