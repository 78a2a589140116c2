import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { FileEntry, SnapshotEntry } from '../../../src/storage/snapshot/entry';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { listSnapshots, readRecord, recordText } from '../../../src/storage/snapshot/snapshot-record';
import { pathText } from '../../../src/storage/path-bytes';
import { setEntryTimes } from '../../../src/storage/posix';
import { exactTree } from '../../helpers/exact-tree';
import { isRoot, memoryFolder, useFolder, withoutRights } from '../../helpers/files';
import { flip } from '../../helpers/check';
import { makeHostileTree } from '../../helpers/hostile-tree';
import { errnoError, interceptFs, withPatched } from '../patched-fs';
import { SnapshotRun, type SnapshotRunOptions } from './snapshot-run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder(memoryFolder);
const path = (...names: string[]): string => join(folder(), ...names);
const repository = (): string => path('repository');
const source = (...names: string[]): string => path('source', ...names);
const snapshot = (options?: SnapshotRunOptions, sources = [source()]): SnapshotRun => new SnapshotRun(folder(), repository(), sources, options);

beforeEach(() => {
  initRepository(repository());
  fs.mkdirSync(source());
});

/** A file that was written long ago, as far as anybody can tell. */
function writeOld(name: string, content: string): void {
  fs.mkdirSync(join(source(name), '..'), { recursive: true });
  fs.writeFileSync(source(name), content);
}

/** Waits until what was written before counts as settled: the clock of the file system has moved on by so much. */
function settle(): void {
  const end = Date.now() + 120;
  while (Date.now() < end) fs.statSync(folder());
}

function entriesOf(run: SnapshotRun): Record<string, SnapshotEntry> {
  return Object.fromEntries([...run.open().entries()].map(({ path: at, entry }) => [pathText(at).replace(`${source()}/`, ''), entry]));
}

function names(run: SnapshotRun): string[] {
  return Object.keys(entriesOf(run)).filter((name) => !name.startsWith('/')).sort();
}

function leftovers(): string[] {
  return fs.readdirSync(join(repository(), '.file-backup', 'incoming'));
}

describe('a snapshot', () => {
  test('holds every entry of a hostile tree as it is, so that cp -a of its data gives the tree back', () => {
    makeHostileTree(source());
    const run = snapshot();
    const record = run.take();
    expect(record).toMatchObject({ status: 'complete', counts: { failed: 0, vanished: 0, specials: 1 }, notKept: expect.not.arrayContaining(['holes']) as string[] });
    expect(exactTree(join(run.data, source()), { ofCopies: true, withTop: true })).toEqual(exactTree(source(), { ofCopies: true, withTop: true }));
    execFileSync('cp', ['-a', join(run.data, source()), path('back')]);
    expect(exactTree(path('back'), { ofCopies: true, withTop: true })).toEqual(exactTree(source(), { ofCopies: true, withTop: true }));
    expect(entriesOf(run).fifo).toMatchObject({ type: 'fifo', state: 'recorded' });
    expect(entriesOf(run).sub).toMatchObject({ mode: '2775' });
    expect(leftovers()).toEqual([]);
  });

  test('is agreed with by sha256sum -c, odd names included', () => {
    makeHostileTree(source());
    const run = snapshot();
    run.take();
    expect(execFileSync('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd: join(repository(), run.name), encoding: 'utf8' })).toBe('');
  });

  test('without a file has no list of checksums, which sha256sum would take for an error, and says so', () => {
    fs.mkdirSync(source('empty'));
    const run = snapshot();
    expect(run.take()).toMatchObject({ status: 'complete', checksumsSha256: null });
    expect(fs.readdirSync(join(repository(), run.name)).sort()).toEqual(['data', 'metadata.ndjson', 'snapshot.json']);
  });

  test('is closed to others, whatever the modes of what is in it', () => {
    writeOld('a', 'a');
    const run = snapshot();
    run.take();
    const modes = ['', 'metadata.ndjson', 'SHA256SUMS', 'snapshot.json'].map((name) => fs.statSync(join(repository(), run.name, name)).mode & 0o777);
    expect(modes).toEqual([0o700, 0o600, 0o600, 0o600]);
  });

  test('of several sources holds each once, nested ones with the outer, and the directories above them', () => {
    writeOld('one/a', 'a');
    writeOld('one/two/b', 'b');
    writeOld('three/c', 'c');
    writeOld('not this', 'd');
    const run = snapshot({}, [source('three'), source('one'), source('one', 'two'), source('one', 'a')]);
    expect(run.take()).toMatchObject({ sources: [source('one'), source('three')], counts: { files: 3 } });
    expect(names(run)).toEqual(['one', 'one/a', 'one/two', 'one/two/b', 'three', 'three/c']);
  });

  test('of a single file is that file', () => {
    writeOld('a', 'a');
    writeOld('b', 'b');
    const run = snapshot({}, [source('a')]);
    run.take();
    expect(names(run)).toEqual(['a']);
  });

  test('leaves the repository inside a source out by itself, and says so', () => {
    writeOld('a', 'a');
    const run = new SnapshotRun(folder(), repository(), [folder()]);
    expect(run.take()).toMatchObject({ leftOut: [repository()], counts: { files: 1 } });
  });
});

describe('an unchanged file', () => {
  test('is a hard link of the copy before, and nothing else is', () => {
    writeOld('a', 'a');
    writeOld('b', 'b');
    settle();
    const [first, second] = [snapshot(), snapshot()];
    first.take();
    writeOld('b', 'B');
    expect(second.take()).toMatchObject({ parent: first.name, counts: { files: 2, unchangedFiles: 1, changedFiles: 1, newFiles: 0, copiedBytes: 1 } });
    const inode = (run: SnapshotRun, name: string): number => fs.statSync(join(run.data, source(name))).ino;
    expect([inode(second, 'a') === inode(first, 'a'), inode(second, 'b') === inode(first, 'b')]).toEqual([true, false]);
    expect(fs.readFileSync(join(first.data, source('b')), 'utf8')).toBe('b');
  });

  test('is told from one that was edited and given its size and time of modification back', () => {
    writeOld('a', 'before');
    settle();
    const { mtimeNs } = fs.statSync(source('a'), { bigint: true });
    snapshot().take();
    fs.writeFileSync(source('a'), 'after!');
    setEntryTimes(source('a'), mtimeNs);
    const run = snapshot();
    expect(run.take()).toMatchObject({ counts: { changedFiles: 1 } });
    expect(fs.readFileSync(join(run.data, source('a')), 'utf8')).toBe('after!');
  });

  /** Makes the snapshot before say of a file what is true of it now: as if the clock had stood still in between. */
  function pretendNothingHappened(run: SnapshotRun, name: string): void {
    const file = join(repository(), run.name, 'metadata.ndjson');
    const stats = fs.statSync(source(name), { bigint: true });
    const lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as SnapshotEntry);
    const changed = lines.map((entry) => (entry.path === source(name) ? { ...entry, ctimeNs: String(stats.ctimeNs), mtimeNs: String(stats.mtimeNs), inode: String(stats.ino) } : entry));
    const text = changed.map((entry) => `${JSON.stringify(entry)}\n`).join('');
    fs.writeFileSync(file, text);
    const record = { ...readRecord(repository(), run.name), metadataSha256: createHash('sha256').update(text).digest('hex') };
    fs.writeFileSync(join(repository(), run.name, 'snapshot.json'), recordText(record));
    setEntryTimes(join(run.data, source(name)), stats.mtimeNs);
  }

  test.each([
    ['is told from one of the same size that replaced it within one tick of the clock', true, 'after!'],
    ['that was settled when it was read is believed: the case above is one', false, 'before'],
  ])('%s', (_title, isRecent, found) => {
    writeOld('a', 'before');
    if (!isRecent) settle();
    const first = snapshot();
    first.take();
    expect((entriesOf(first).a as FileEntry).recent).toBe(isRecent ? true : undefined);
    fs.writeFileSync(source('a'), 'after!');
    pretendNothingHappened(first, 'a');
    const second = snapshot();
    second.take();
    expect(fs.readFileSync(join(second.data, source('a')), 'utf8')).toBe(found);
  });

  test('that was read again for its times alone is still a link', () => {
    writeOld('a', 'a');
    const first = snapshot();
    first.take();
    settle();
    const second = snapshot();
    expect(second.take()).toMatchObject({ counts: { unchangedFiles: 1, copiedBytes: 0 } });
    expect((entriesOf(second).a as FileEntry).recent).toBeUndefined();
    expect((entriesOf(second).a as FileEntry).readAt > (entriesOf(first).a as FileEntry).readAt).toBe(true);
  });

  test('is read again on request, and what is the same is linked all the same', () => {
    writeOld('a', 'a');
    settle();
    const first = snapshot();
    first.take();
    const second = snapshot({ rehash: true });
    expect(second.take()).toMatchObject({ counts: { unchangedFiles: 1 } });
    expect((entriesOf(second).a as FileEntry).readAt > (entriesOf(first).a as FileEntry).readAt).toBe(true);
  });

  test.each([
    ['is gone', (copy: string) => fs.unlinkSync(copy)],
    ['has another size', (copy: string) => fs.appendFileSync(copy, 'x')],
    ['is a link to something else', (copy: string) => (fs.unlinkSync(copy), fs.symlinkSync('/etc/passwd', copy))],
  ])('is copied from the source when the copy before %s', (_how, harm) => {
    writeOld('a', 'a');
    settle();
    const first = snapshot();
    first.take();
    harm(join(first.data, source('a')));
    const second = snapshot();
    expect(second.take()).toMatchObject({ counts: { unchangedFiles: 0, copiedBytes: 1 } });
    expect(fs.lstatSync(join(second.data, source('a'))).isFile()).toBe(true);
    expect(fs.readFileSync(join(second.data, source('a')), 'utf8')).toBe('a');
  });

  describe('whose copy before is damaged', () => {
    const damagedIn = (run: SnapshotRun): object => ({ damagedCopies: { count: 1, sample: [`${run.name}/data${source('a')}`] } });
    let first: SnapshotRun;

    beforeEach(() => {
      writeOld('a', 'content');
      settle();
      first = snapshot();
      first.take();
    });

    /** The damage stays where it is: what is done to it is for whoever repairs. */
    function expectAfresh(run: SnapshotRun, taken: object): void {
      expect(taken).toMatchObject({ status: 'complete', counts: { unchangedFiles: 0, changedFiles: 1, copiedBytes: 7 }, ...damagedIn(first) });
      expect(fs.readFileSync(join(run.data, source('a')), 'utf8')).toBe('content');
      expect(readRecord(repository(), run.name)).toMatchObject(damagedIn(first));
    }

    test('is copied afresh and named where every file is read', () => {
      flip(join(first.data, source('a')), 3);
      const run = snapshot({ rehash: true });
      expectAfresh(run, run.take());
      expect(fs.readFileSync(join(first.data, source('a')), 'utf8')).not.toBe('content');
    });

    test('so that it cannot be read is copied afresh and named', () => {
      const run = snapshot({ rehash: true });
      const isCopy = (path: unknown): boolean => String(path).includes('/proc/self/fd/') && String(path).endsWith('/a');
      let opened = 0;
      const taken = withPatched('openSync', ([at], proceed) => {
        if (!isCopy(at) || (opened += 1) !== 2) return proceed();
        throw errnoError('EIO', 5);
      }, () => run.take());
      expectAfresh(run, taken);
    });

    test('is copied afresh where its times alone had it read again', () => {
      flip(join(first.data, source('a')), 3);
      fs.chmodSync(source('a'), 0o600);
      fs.chmodSync(source('a'), 0o644);
      const run = snapshot();
      expectAfresh(run, run.take());
    });

    test('so that it shows at a glance is named too, and one that was removed with its snapshot is not', () => {
      fs.appendFileSync(join(first.data, source('a')), 'x');
      const run = snapshot();
      expectAfresh(run, run.take());
      const last = snapshot();
      last.plan();
      fs.renameSync(join(repository(), run.name), path('pruned'));
      last.chunk();
      expect(last.seal().damagedCopies).toBeUndefined();
    });
  });

  test('with changed mode or owner is copied: a link would change the copy before as well', () => {
    writeOld('a', 'a');
    settle();
    const first = snapshot();
    first.take();
    fs.chmodSync(source('a'), 0o600);
    const second = snapshot();
    expect(second.take()).toMatchObject({ counts: { changedFiles: 1 } });
    expect([first, second].map((run) => fs.statSync(join(run.data, source('a'))).mode & 0o777)).toEqual([0o644, 0o600]);
  });
});

describe('what is left out on request', () => {
  beforeEach(() => {
    for (const name of ['keep/a.txt', 'keep/b.tmp', 'keep/important.tmp', 'node_modules/x', 'sub/node_modules/y', 'sub/build/z', 'build/w', '.cache/v', 'UPPER.TMP']) writeOld(name, 'x'.repeat(100));
  });

  test.each([
    [['*.tmp'], ['keep/b.tmp', 'keep/important.tmp']],
    [['*.tmp', '!important.tmp'], ['keep/b.tmp']],
    [['node_modules/'], ['node_modules', 'node_modules/x', 'sub/node_modules', 'sub/node_modules/y']],
    [['/build'], ['build', 'build/w']],
    [['sub/build'], ['sub/build', 'sub/build/z']],
    [['SOURCE/sub/build'], ['sub/build', 'sub/build/z']],
    [['**/z'], ['sub/build/z']],
    [['.*'], ['.cache', '.cache/v']],
    [['# a comment', '  '], []],
  ])('%j leaves %j out', (patterns, expected) => {
    const all = snapshot();
    all.take();
    const run = snapshot({ excludes: { patterns: patterns.map((pattern) => pattern.replace('SOURCE', source())) } });
    run.take();
    expect(names(all).filter((name) => !names(run).includes(name))).toEqual(expected);
  });

  test('large files', () => {
    writeOld('large', 'x'.repeat(2000));
    const run = snapshot({ excludes: { maxSizeBytes: 1999 } });
    expect(run.take()).toMatchObject({ counts: { excluded: 1 } });
    expect(names(run)).not.toContain('large');
  });

  test('caches that say that they are, but not their tags', () => {
    writeOld('.cache/CACHEDIR.TAG', 'Signature: 8a477f597d28d172789f06886806bc55\n');
    writeOld('build/CACHEDIR.TAG', 'something else');
    const run = snapshot({ excludes: { caches: true } });
    run.take();
    expect(names(run).filter((name) => name.startsWith('.cache'))).toEqual(['.cache', '.cache/CACHEDIR.TAG']);
    expect(names(run)).toContain('build/w');
  });
});

describe('what fails', () => {
  const unreadable = isRoot ? (calls: () => void) => withoutRights(calls) : (calls: () => void) => calls();

  test('makes the snapshot partial, by name, and is tried again by the next one', () => {
    writeOld('good', 'good');
    writeOld('bad', 'bad');
    writeOld('closed/inside', 'x');
    settle();
    for (const directory of [folder(), repository(), join(repository(), '.file-backup'), join(repository(), '.file-backup', 'incoming')]) fs.chmodSync(directory, 0o755);
    fs.chmodSync(source('bad'), 0);
    fs.chmodSync(source('closed'), 0);
    if (isRoot) execFileSync('chown', ['-R', '65534:65534', repository()]);
    const first = snapshot();
    unreadable(() => expect(first.take()).toMatchObject({ status: 'partial', counts: { failed: 2, files: 1 } }));
    expect(entriesOf(first)).toMatchObject({ bad: { state: 'failed', failure: { code: 'EACCES' } }, closed: { type: 'directory', state: 'failed' } });
    fs.chmodSync(source('bad'), 0o644);
    fs.chmodSync(source('closed'), 0o755);
    const second = snapshot();
    unreadable(() => expect(second.take()).toMatchObject({ status: 'complete', parent: first.name, counts: { files: 3, unchangedFiles: 1, newFiles: 2 } }));
  });

  test('a source that is missing is refused before anything is copied, and on request makes the snapshot partial', () => {
    writeOld('a', 'a');
    const refused = snapshot({}, [source(), path('missing')]);
    expect(() => refused.take()).toThrow(`Nothing was copied, since ${path('missing')} is not there`);
    refused.discard();
    expect(snapshot({ allowMissing: true }, [source(), path('missing')]).take()).toMatchObject({ status: 'partial', counts: { failed: 1, files: 1 } });
    expect(() => snapshot({ allowMissing: true }, [path('missing')]).take()).toThrow('There is nothing to back up');
  });

  test('a file that is gone when its turn comes is counted, and is no failure', () => {
    writeOld('a', 'a');
    writeOld('b', 'b');
    const run = snapshot();
    run.plan();
    fs.unlinkSync(source('b'));
    run.chunk();
    expect(run.seal()).toMatchObject({ status: 'complete', counts: { vanished: 1, files: 1 } });
    expect(names(run)).toEqual(['a']);
  });
});

describe('steps that are repeated or cut short', () => {
  beforeEach(() => {
    for (const name of ['a', 'b', 'c']) writeOld(name, name);
    settle();
  });

  test('every step twice is the same as once', () => {
    const run = snapshot();
    expect(run.plan()).toEqual(run.plan());
    expect(run.chunk()).toEqual(run.chunk());
    expect(run.seal()).toEqual(run.seal());
    expect(exactTree(join(run.data, source()), { ofCopies: true, withTop: true })).toEqual(exactTree(source(), { ofCopies: true, withTop: true }));
    expect(listSnapshots(repository())).toHaveLength(1);
    expect(leftovers()).toEqual([]);
  });

  /** Every call that changes something, one after the other: the step ends there as by a crash, and is repeated. */
  test.each(['plan', 'chunk', 'seal'] as const)('a crash at any call of %s costs nothing', (step) => {
    writeOld('sub/d', 'd');
    fs.linkSync(source('a'), source('z'));
    fs.symlinkSync('a', source('link'));
    settle();
    snapshot().take();
    writeOld('b', 'changed');
    for (let at = 1; ; at += 1) {
      const run = snapshot();
      const steps = { plan: () => run.plan(), chunk: () => run.chunk(), seal: () => run.seal() };
      if (step !== 'plan') run.plan();
      if (step === 'seal') run.chunk();
      const crashed = crashesAt(at, steps[step]);
      steps[step]();
      if (step === 'plan') run.chunk();
      if (step !== 'seal') run.seal();
      expect(exactTree(join(run.data, source()), { ofCopies: true, withTop: true })).toEqual(exactTree(source(), { ofCopies: true, withTop: true }));
      expect(run.open().record).toMatchObject({ status: 'complete', counts: { files: 5 } });
      expect(leftovers()).toEqual([]);
      if (!crashed) break;
      expect(at).toBeLessThan(500);
    }
  });

  const changing = ['mkdirSync', 'linkSync', 'renameSync', 'unlinkSync', 'rmdirSync', 'rmSync', 'writeSync', 'writeFileSync', 'fsyncSync', 'symlinkSync', 'chmodSync', 'lchownSync', 'fchmodSync'];

  /** From the n-th changing call on nothing works any more, as nothing does after a crash: clean-up included. */
  function crashesAt(nth: number, calls: () => unknown): boolean {
    let count = 0;
    const restore = interceptFs(({ name }, proceed) => {
      if (!changing.includes(name)) return proceed();
      count += 1;
      if (count >= nth) crash();
      return proceed();
    });
    try {
      calls();
    } catch {
      return true;
    } finally {
      restore();
    }
    return count >= nth;
  }

  test('copies that a crash kept from their places after the journal named them are put there by the end of the run', () => {
    const run = snapshot();
    run.plan();
    const isMove = (args: readonly unknown[]): boolean => String(args[0]).includes('/staging/');
    expect(() => withPatched('renameSync', (args, proceed) => (isMove(args) ? crash() : proceed()), () => run.chunk())).toThrow('failed: EIO');
    expect(run.seal()).toMatchObject({ counts: { files: 3 } });
    expect(exactTree(join(run.data, source()), { ofCopies: true, withTop: true })).toEqual(exactTree(source(), { ofCopies: true, withTop: true }));
  });

  test('a further pass takes what failed in passing, and leaves the rest as it was, crash or not', () => {
    const run = snapshot();
    run.plan();
    const isBlocked = (name: string, [first]: readonly unknown[]): boolean =>
      name === 'readSync' ? fs.readlinkSync(`/proc/self/fd/${String(first)}`) === source('b') : name === 'renameSync' && String(first).includes('/staging/');
    const restore = interceptFs(({ name, args }, proceed) => (isBlocked(name, args) ? crash() : proceed()));
    try {
      expect(() => run.chunk()).toThrow('failed: EIO');
    } finally {
      restore();
    }
    expect(run.chunk(run.attempt(0, 1, [1]))).toMatchObject({ pass: 1, counts: { backedUp: 3, failed: 0 } });
    run.seal();
    expect(exactTree(join(run.data, source()), { ofCopies: true, withTop: true })).toEqual(exactTree(source(), { ofCopies: true, withTop: true }));
  });

  function crash(): never {
    throw Object.assign(new Error('The power is out'), { code: 'EIO', errno: -5, syscall: 'test' });
  }

  test('of two attempts at a chunk the first journal counts, and the late one changes nothing', () => {
    const run = snapshot();
    run.plan();
    const late = run.attempt();
    run.chunk();
    fs.writeFileSync(source('b'), 'later');
    expect(run.chunk(late)).toMatchObject({ counts: { backedUp: 3 } });
    run.seal();
    expect(fs.readFileSync(join(run.data, source('b')), 'utf8')).toBe('b');
  });

  test('a run that was discarded leaves nothing, and its late steps find nothing', () => {
    const run = snapshot();
    run.plan();
    run.chunk();
    run.discard();
    run.discard();
    expect(leftovers()).toEqual([]);
    expect(() => run.chunk(run.attempt())).toThrow('gone');
    expect(() => run.seal()).toThrow();
    expect(listSnapshots(repository())).toEqual([]);
  });
});
