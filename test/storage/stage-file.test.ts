import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { setEntryTimes } from '../../src/storage/posix';
import { TransferControl } from '../../src/storage/control';
import { stageFile } from '../../src/storage/stage-file';
import { contentOf, isRoot, openDescriptors, sha256, useFolder, withoutRights } from '../helpers/files';
import { codeOf, Operation, thrownBy } from './operation';
import { errnoError, interceptFs, withInterruption, withPatched } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const MiB = 1024 * 1024;
const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);

function prepared(content: Buffer | string = 'content of the source'): Operation {
  fs.writeFileSync(path('source'), content, { mode: 0o600 });
  const operation = new Operation(folder());
  operation.prepare();
  return operation;
}

/** Staged files; the record is not one of them. */
function temporaries({ stagingPath }: Operation): string[] {
  return fs.readdirSync(stagingPath).filter((name) => name !== 'record.json');
}

describe('content', () => {
  test.each([
    ['an empty file', 0],
    ['one byte', 1],
    ['a file of exactly the buffer size', MiB],
    ['a file that is larger than the buffer, of odd size', 2 * MiB + 12_345],
  ])('%s is copied byte for byte and digested on the way', (_title, sizeBytes) => {
    const content = contentOf(1, sizeBytes);
    const operation = prepared(content);
    const staged = operation.stage();
    expect(staged).toMatchObject({ sha256: sha256(content), sizeBytes, changed: false });
    expect(fs.readFileSync(operation.stagedPath).equals(content)).toBe(true);
    expect(operation.control.movedBytes).toBe(sizeBytes);
  });

  test('a file of /proc, which says that it is empty and is not, is copied to its end', () => {
    const operation = new Operation('/', '/proc/version', path('target'));
    operation.prepare();
    expect(operation.inspected.source.sizeBytes).toBe(0);
    expect(operation.stage()).toMatchObject({ sha256: sha256(fs.readFileSync('/proc/version')), sizeBytes: fs.readFileSync('/proc/version').length });
  });

  test('a write that takes less than it was given is completed', () => {
    const content = contentOf(2, MiB + 3);
    const operation = prepared(content);
    const short = ([descriptor, buffer, offset, length]: readonly unknown[]): unknown =>
      fs.writeSync(descriptor as number, buffer as Buffer, offset as number, Math.ceil((length as number) / 3));
    withPatched('writeSync', short, () => operation.stage());
    expect(sha256(fs.readFileSync(operation.stagedPath))).toBe(sha256(content));
  });

  test('a read that gives less than it was asked for is continued', () => {
    const content = contentOf(3, MiB + 3);
    const operation = prepared(content);
    const short = ([descriptor, buffer, offset, length, position]: readonly unknown[]): unknown =>
      fs.readSync(descriptor as number, buffer as Buffer, offset as number, Math.ceil((length as number) / 3), position as number);
    expect(withPatched('readSync', short, () => operation.stage())).toMatchObject({ sizeBytes: content.length, sha256: sha256(content) });
  });
});

describe('metadata', () => {
  test('the mode is the source\'s, without setuid, setgid and sticky bits', () => {
    const operation = prepared();
    fs.chmodSync(path('source'), 0o7755);
    operation.stage();
    expect(fs.statSync(operation.stagedPath).mode & 0o7777).toBe(0o755);
  });

  test('a mode that even its owner may not write with is kept too', () => {
    const operation = prepared();
    fs.chmodSync(path('source'), 0o400);
    operation.stage();
    expect(fs.statSync(operation.stagedPath).mode & 0o7777).toBe(0o400);
  });

  test('nobody else can read a private file at any moment, whatever the umask', () => {
    const umask = process.umask(0);
    try {
      const operation = prepared(contentOf(4, 3 * MiB));
      const seen = new Set<number>();
      const restore = interceptFs((_call, proceed) => {
        for (const name of temporaries(operation)) seen.add(fs.statSync(join(operation.stagingPath, name)).mode & 0o7777);
        expect(fs.statSync(operation.stagingPath).mode & 0o7777).toBe(0o700);
        return proceed();
      });
      try {
        operation.stage();
      } finally {
        restore();
      }
      expect([...seen]).toEqual([0o600]);
    } finally {
      process.umask(umask);
    }
  });

  test('the time of modification is kept to the nanosecond, also before 1970', () => {
    const operation = prepared();
    fc.assert(
      fc.property(fc.bigInt({ min: -1_000_000_000_000_000_000n, max: 4_000_000_000_000_000_000n }), (timeNs) => {
        setEntryTimes(path('source'), timeNs);
        operation.stage();
        return fs.statSync(operation.stagedPath, { bigint: true }).mtimeNs === timeNs;
      }),
      { seed: 20_261_124, numRuns: 50 },
    );
  });

  test('the owner is kept where the worker may give files away (only root may)', () => {
    const operation = prepared();
    if (isRoot) fs.chownSync(path('source'), 12_345, 23_456);
    const { uid, gid } = fs.statSync(path('source'));
    expect(operation.stage().ownerKept).toBe(true);
    expect(fs.statSync(operation.stagedPath)).toMatchObject({ uid, gid });
  });

  test('an owner that cannot be set is reported and does not cost the backup (rights are dropped when root runs this)', () => {
    fs.mkdirSync(path('mine'));
    fs.chmodSync(folder(), 0o755);
    fs.writeFileSync(path('source'), 'x', { mode: 0o644 });
    if (isRoot) fs.chownSync(path('mine'), 65534, 65534);
    const refuse = (): never => { throw errnoError('EPERM', 1); };
    const staged = withoutRights(() => {
      const operation = new Operation(folder(), path('source'), path('mine', 'target'));
      operation.prepare();
      // Without root there is no file of anybody else, so the refusal is played.
      if (!isRoot) return withPatched('fstatSync', (args, proceed) => (args[1] === undefined ? { uid: -1, gid: -1 } : proceed()), () => withPatched('fchownSync', refuse, () => operation.stage()));
      return operation.stage();
    });
    expect(staged).toMatchObject({ ownerKept: false, sha256: sha256('x') });
  });
});

describe('a source that changes while it is read', () => {
  const content = contentOf(5, 3 * MiB);

  /** Reads come in pieces of 1 MiB: something happens to the source before the second. */
  function stageWhile(change: () => void, onSourceChanged: 'fail' | 'accept'): ReturnType<Operation['stage']> {
    const operation = prepared(content);
    fs.utimesSync(path('source'), 1_000_000_000, 1_000_000_000);
    return withInterruption('readSync', 2, change, () => operation.stage({ onSourceChanged }));
  }

  const grow = (): void => fs.appendFileSync(path('source'), contentOf(6, 2 * MiB));
  const shrink = (): void => fs.truncateSync(path('source'), MiB + 1);
  const overwrite = (): void => {
    const descriptor = fs.openSync(path('source'), 'r+');
    fs.writeSync(descriptor, 'other bytes', 2 * MiB);
    fs.closeSync(descriptor);
  };
  const replace = (): void => {
    fs.writeFileSync(path('new'), contentOf(7, 3 * MiB));
    fs.renameSync(path('new'), path('source'));
  };

  test.each([
    ['grows', grow],
    ['shrinks', shrink],
    ['is overwritten in place', overwrite],
    ['is replaced by another file', replace],
    ['is removed', () => fs.unlinkSync(path('source'))],
  ])('one that %s is never taken for good, and nothing of it stays', (_title, change) => {
    const error = thrownBy(() => stageWhile(change, 'fail'));
    expect(error).toMatchObject({ code: 'SourceChanged', side: 'source', path: path('source') });
    const staging = fs.readdirSync(folder()).find((name) => name.startsWith('.file-backup-'));
    expect(fs.readdirSync(path(String(staging)))).toEqual(['record.json']);
  });

  test('one that grew is accepted on demand, cut at the size first seen, and marked', () => {
    expect(stageWhile(grow, 'accept')).toMatchObject({ changed: true, sizeBytes: content.length, sha256: sha256(content) });
  });

  test('one that shrank is not even accepted on demand', () => {
    expect(codeOf(() => stageWhile(shrink, 'accept'))).toBe('SourceChanged');
  });

  test('one that was replaced is accepted on demand: the old file is copied whole', () => {
    expect(stageWhile(replace, 'accept')).toMatchObject({ changed: true, sha256: sha256(content) });
  });

  test('one that does not change is not marked as changed on demand', () => {
    expect(stageWhile(() => undefined, 'accept')).toMatchObject({ changed: false, sha256: sha256(content) });
  });

  test('one that grows as fast as it is read does not keep the copy going', () => {
    const operation = prepared(contentOf(8, MiB));
    const growing = (_args: readonly unknown[], proceed: () => unknown): unknown => {
      fs.appendFileSync(path('source'), contentOf(9, MiB));
      return proceed();
    };
    expect(codeOf(() => withPatched('readSync', growing, () => operation.stage()))).toBe('SourceChanged');
    expect(fs.statSync(path('source')).size).toBeLessThanOrEqual(4 * MiB);
  });

  test('one that is gone before the copy begins is a missing source, not a missing destination', () => {
    const operation = prepared();
    fs.unlinkSync(path('source'));
    expect(thrownBy(() => operation.stage())).toMatchObject({ code: 'ENOENT', side: 'source' });
  });

  test('a parent that becomes a symbolic link is not followed', () => {
    fs.mkdirSync(path('real'));
    fs.mkdirSync(path('other'));
    fs.writeFileSync(path('real', 'source'), 'wanted');
    fs.writeFileSync(path('other', 'source'), 'secret');
    const operation = new Operation(folder(), path('real', 'source'), path('target'));
    operation.prepare();
    const swap = (): void => {
      fs.renameSync(path('real'), path('moved'));
      fs.symlinkSync('other', path('real'));
    };
    // When the source's root is open, before its components are.
    const swapping = (args: readonly unknown[], proceed: () => unknown): unknown => {
      const opened = proceed();
      if (args[0] === folder()) swap();
      return opened;
    };
    const restore = interceptFs((call, proceed) => (call.name === 'openSync' ? swapping(call.args, proceed) : proceed()));
    try {
      expect(codeOf(() => operation.stage())).toBe('SourceNotCanonical');
    } finally {
      restore();
    }
  });
});

describe('attempts', () => {
  test.each([
    ['write', 'writeSync' as const, 'ENOSPC', 28],
    ['sync', 'fsyncSync' as const, 'EIO', 5],
    ['change of mode', 'fchmodSync' as const, 'EPERM', 1],
  ])('one whose %s fails removes its own file and says where it failed', (_title, name, code, errno) => {
    const operation = prepared();
    const before = openDescriptors();
    const error = thrownBy(() => withPatched(name, () => { throw errnoError(code, errno); }, () => operation.stage()));
    expect(error).toMatchObject({ code, side: 'destination', path: path('target') });
    expect(temporaries(operation)).toEqual([]);
    expect(openDescriptors()).toBe(before);
  });

  test('one that fails to read blames the source', () => {
    const operation = prepared();
    const error = thrownBy(() => withPatched('readSync', () => { throw errnoError('EIO', 5); }, () => operation.stage()));
    expect(error).toMatchObject({ code: 'EIO', side: 'source', path: path('source') });
    expect(temporaries(operation)).toEqual([]);
  });

  test('one that is cancelled stops between two pieces and removes its file', () => {
    const operation = prepared(contentOf(10, 3 * MiB));
    expect(codeOf(() => withInterruption('writeSync', 2, () => operation.control.cancel(), () => operation.stage()))).toBe('Cancelled');
    expect(operation.control.movedBytes).toBe(2 * MiB);
    expect(temporaries(operation)).toEqual([]);
  });

  test('one that overlaps another does not disturb it, neither by finishing nor by failing', () => {
    const operation = prepared(contentOf(11, 2 * MiB));
    const later = (): void => {
      const other = new TransferControl();
      other.cancel();
      const { location, root: sourceRoot, sourcePath } = operation;
      stageFile({ location, sourceRoot, sourcePath, onSourceChanged: 'fail', attemptName: 'staged-1', replaces: null }, new TransferControl());
      codeOf(() => stageFile({ location, sourceRoot, sourcePath, onSourceChanged: 'fail', attemptName: 'staged-1', replaces: null }, other));
    };
    const staged = withInterruption('readSync', 2, later, () => operation.stage());
    expect(temporaries(operation)).toHaveLength(2);
    for (const name of temporaries(operation)) expect(sha256(fs.readFileSync(join(operation.stagingPath, name)))).toBe(staged.sha256);
  });

  test('one that replaces a copy that did not verify removes that copy', () => {
    const operation = prepared();
    const first = operation.stage();
    const second = operation.stage({ replaces: first.name });
    expect(temporaries(operation)).toEqual([second.name]);
  });

  test('one whose predecessor is gone already goes on', () => {
    const operation = prepared();
    expect(operation.stage({ replaces: 'staged-0-00000000' }).sizeBytes).toBe(21);
  });

  test('names that lead out of the staging directory are refused: nothing else is removed', () => {
    const operation = prepared();
    fs.writeFileSync(path('precious'), 'x');
    expect(codeOf(() => operation.stage({ replaces: '../precious' }))).toBe('InvalidInput');
    expect(fs.existsSync(path('precious'))).toBe(true);
  });

  test('the staged file\'s name owes nothing to the target\'s, which may be 255 bytes long', () => {
    fs.writeFileSync(path('source'), 'x');
    const operation = new Operation(folder(), path('source'), path('ü'.repeat(127)));
    operation.prepare();
    expect(operation.stage().name).toMatch(/^staged-1-[0-9a-f]{8}$/);
  });
});

describe('the order of calls', () => {
  test('the mode is set before the file is synced, and its name is synced after it', () => {
    const operation = prepared();
    const order: string[] = [];
    const restore = interceptFs(({ name, args }, proceed) => {
      if (['writeSync', 'fchmodSync', 'futimesSync'].includes(name)) order.push(name);
      if (name === 'fsyncSync') order.push(fs.fstatSync(args[0] as number).isDirectory() ? 'sync of the directory' : 'sync of the file');
      return proceed();
    });
    try {
      operation.stage();
    } finally {
      restore();
    }
    expect(order).toEqual(['writeSync', 'fchmodSync', 'sync of the file', 'sync of the directory']);
  });
});

describe('staging that is gone', () => {
  test('a directory that was revoked is said to be so, and nothing is created', () => {
    const operation = prepared();
    fs.renameSync(operation.stagingPath, operation.revokedPath);
    expect(codeOf(() => operation.stage())).toBe('StagingRevoked');
    expect(fs.readdirSync(operation.revokedPath)).toEqual(['record.json']);
  });

  test('a directory that is revoked and removed during the copy takes the copy with it', () => {
    const operation = prepared(contentOf(12, 2 * MiB));
    expect(codeOf(() => withInterruption('openSync', 1 + depthOf(operation), () => operation.discard(), () => operation.stage()))).toBe('StagingRevoked');
    expect(fs.readdirSync(folder())).toEqual(['source']);
  });

  test('a destination that was replaced, as by unmounting, is gone', () => {
    fs.mkdirSync(path('disk'));
    fs.writeFileSync(path('source'), 'x');
    const operation = new Operation(folder(), path('source'), path('disk', 'target'));
    operation.prepare();
    fs.renameSync(path('disk'), path('unplugged'));
    expect(codeOf(() => operation.stage())).toBe('DestinationGone');
    fs.mkdirSync(path('disk'));
    expect(codeOf(() => operation.stage())).toBe('DestinationGone');
    expect(fs.readdirSync(path('disk'))).toEqual([]);
    fs.rmdirSync(path('disk'));
    fs.renameSync(path('unplugged'), path('disk'));
    expect(operation.stage().sizeBytes).toBe(1);
  });
});

/** Opening calls until the staging directory is open: its root, then it. */
function depthOf({ root, targetPath }: Operation): number {
  return dirname(targetPath) === root ? 2 : 3;
}
