import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { publishFile } from '../../src/storage/publish-file';
import { damage, openDescriptors, treeOf, useFolder } from '../helpers/files';
import { codeOf, Operation, thrownBy, writePrevious } from './operation';
import { interceptFs, withInterruption, withoutHardLinks, withPatched } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const content = 'content of the source';

beforeEach(() => fs.writeFileSync(path('source'), content));

/** Staged and ready, with a target that was there before or without one. */
function ready({ previous = false } = {}): Operation {
  if (previous) writePrevious(path('target'));
  return new Operation(folder()).readyToPublish();
}

const target = (): string => fs.readFileSync(path('target'), 'utf8');
const inodeOf = (name: string): bigint => fs.statSync(path(name), { bigint: true }).ino;

describe('a new target', () => {
  test('is the staged file itself, under one more name', () => {
    const operation = ready();
    const staged = fs.statSync(operation.stagedPath, { bigint: true }).ino;
    expect(operation.publish()).toBe('link');
    expect(inodeOf('target')).toBe(staged);
    expect(target()).toBe(content);
  });

  test('that somebody else created meanwhile is a conflict, and theirs stays untouched', () => {
    const operation = ready();
    fs.writeFileSync(path('target'), 'somebody else\'s');
    const before = treeOf(path('.'))['target'];
    expect(codeOf(() => operation.publish())).toBe('DestinationConflict');
    expect(treeOf(path('.'))['target']).toBe(before);
  });

  test('that somebody else creates at the last moment is a conflict too: nothing is overwritten unseen', () => {
    const operation = ready();
    const create = ([, to]: readonly unknown[], proceed: () => unknown): unknown => {
      if (String(to).endsWith('/target')) fs.writeFileSync(path('target'), 'somebody else\'s');
      return proceed();
    };
    expect(codeOf(() => withPatched('linkSync', create, () => operation.publish()))).toBe('DestinationConflict');
    expect(target()).toBe('somebody else\'s');
  });

  test.each([
    ['symbolic link', () => fs.symlinkSync('nowhere', path('target'))],
    ['directory', () => fs.mkdirSync(path('target'))],
    ['FIFO', () => void execFileSync('mkfifo', [path('target')])],
  ])('in whose place a %s appeared is a conflict, and nothing is followed or opened', (_title, create) => {
    const operation = ready();
    create();
    expect(codeOf(() => operation.publish())).toBe('DestinationConflict');
    expect(fs.existsSync(path('nowhere'))).toBe(false);
  });

  test.each([
    ['of 255 bytes', `${'ü'.repeat(127)}u`],
    ['with a line break', 'two\nlines'],
  ])('with a name %s is published under exactly that name', (_title, name) => {
    const operation = new Operation(folder(), path('source'), path(name)).complete();
    expect(fs.readdirSync(folder()).sort()).toEqual(['source', name].sort());
    expect(fs.readFileSync(operation.targetPath, 'utf8')).toBe(content);
  });
});

describe('a previous target', () => {
  test('is kept in staging, the very same file, before it is replaced', () => {
    const operation = ready({ previous: true });
    const previous = inodeOf('target');
    expect(operation.publish()).toBe('rename');
    expect(target()).toBe(content);
    expect(fs.statSync(join(operation.stagingPath, 'previous'), { bigint: true }).ino).toBe(previous);
  });

  test('and the name under which it is kept is durable before the target changes', () => {
    const operation = ready({ previous: true });
    const order: string[] = [];
    const restore = interceptFs(({ name, args }, proceed) => {
      if (name === 'linkSync' && String(args[1]).endsWith('/previous')) order.push('kept');
      if (name === 'fsyncSync') order.push(fs.readlinkSync(`/proc/self/fd/${String(args[0])}`) === operation.stagingPath ? 'staging synced' : 'parent synced');
      if (name === 'renameSync') order.push('replaced');
      return proceed();
    });
    try {
      operation.publish();
    } finally {
      restore();
    }
    expect(order).toEqual(['kept', 'staging synced', 'replaced', 'parent synced']);
  });

  test.each([
    ['was replaced', () => { fs.writeFileSync(path('new'), 'somebody else\'s'); fs.renameSync(path('new'), path('target')); }],
    ['was written to', () => fs.writeFileSync(path('target'), 'somebody else\'s')],
    ['was written to without changing its size', () => fs.writeFileSync(path('target'), 'PREVIOUS CONTENT')],
    ['was removed', () => fs.unlinkSync(path('target'))],
    ['became a symbolic link', () => { fs.unlinkSync(path('target')); fs.symlinkSync('source', path('target')); }],
    ['became a directory', () => { fs.unlinkSync(path('target')); fs.mkdirSync(path('target')); }],
  ])('that %s since the backup looked is a conflict, and stays as it is', (_title, change) => {
    const operation = ready({ previous: true });
    change();
    const before = treeOf(folder())['target'];
    expect(codeOf(() => operation.publish())).toBe('DestinationConflict');
    expect(treeOf(folder())['target']).toBe(before);
  });

  test('that is replaced between looking and keeping is a conflict', () => {
    const operation = ready({ previous: true });
    const replace = ([, to]: readonly unknown[], proceed: () => unknown): unknown => {
      if (String(to).endsWith('/previous')) {
        fs.writeFileSync(path('new'), 'somebody else\'s');
        fs.renameSync(path('new'), path('target'));
      }
      return proceed();
    };
    expect(codeOf(() => withPatched('linkSync', replace, () => operation.publish()))).toBe('DestinationConflict');
    expect(target()).toBe('somebody else\'s');
  });

  test('whose attributes alone were looked at or changed is replaced all the same', () => {
    const operation = ready({ previous: true });
    fs.chmodSync(path('target'), 0o600);
    expect(operation.publish()).toBe('rename');
  });

  test('that readers have open stays whole for them', () => {
    const operation = ready({ previous: true });
    const reader = fs.openSync(path('target'), 'r');
    try {
      operation.publish();
      expect(fs.readFileSync(reader, 'utf8')).toBe('previous content');
    } finally {
      fs.closeSync(reader);
    }
  });
});

describe('a repeated publish', () => {
  test.each([false, true])('adopts what an earlier attempt finished (previous target: %s)', (previous) => {
    const operation = ready({ previous });
    const by = operation.publish();
    const before = treeOf(folder());
    expect(operation.publish()).toBe(by);
    expect(treeOf(folder())).toEqual(before);
  });

  test.each([false, true])('reads the finished target again, and does not adopt a damaged one (previous target: %s)', (previous) => {
    const operation = ready({ previous });
    operation.publish();
    damage(path('target'), 3);
    const error = thrownBy(() => operation.publish());
    expect(error).toMatchObject({ code: 'DestinationConflict', path: path('target'), found: { expected: operation.staged?.sha256 } });
    expect(error.found.found).toMatch(/^[0-9a-f]{64}$/);
    expect(error.found.found).not.toBe(operation.staged?.sha256);
  });

  test('goes on where an attempt stopped that had kept the previous target and no more', () => {
    const operation = ready({ previous: true });
    expect(() => withPatched('renameSync', () => { throw new Error('stopped'); }, () => operation.publish())).toThrow('stopped');
    expect(target()).toBe('previous content');
    expect(operation.publish()).toBe('rename');
    expect(target()).toBe(content);
    expect(fs.readFileSync(join(operation.stagingPath, 'previous'), 'utf8')).toBe('previous content');
  });

  test.each([
    ['replaced', false, () => { fs.writeFileSync(path('new'), 'somebody else\'s'); fs.renameSync(path('new'), path('target')); }],
    ['replaced', true, () => { fs.writeFileSync(path('new'), 'somebody else\'s'); fs.renameSync(path('new'), path('target')); }],
    ['removed', true, () => fs.unlinkSync(path('target'))],
  ])('finds that its finished target was %s by somebody else: a conflict (previous target: %s)', (_title, previous, change) => {
    const operation = ready({ previous });
    operation.publish();
    change();
    const before = treeOf(folder())['target'];
    expect(codeOf(() => operation.publish())).toBe('DestinationConflict');
    expect(treeOf(folder())['target']).toBe(before);
  });

  test('with another staged file than the first is a conflict', () => {
    const operation = ready();
    operation.publish();
    fs.unlinkSync(path('target'));
    operation.stage();
    expect(codeOf(() => operation.publish())).toBe('DestinationConflict');
  });
});

describe('too late', () => {
  test('after undo there is nothing to publish through', () => {
    const operation = ready();
    operation.undo();
    expect(codeOf(() => operation.publish())).toBe('StagingRevoked');
    expect(fs.readdirSync(folder())).toEqual(['source']);
  });

  test('a staging directory that was only renamed away is out of reach already', () => {
    const operation = ready({ previous: true });
    fs.renameSync(operation.stagingPath, operation.revokedPath);
    expect(codeOf(() => operation.publish())).toBe('StagingRevoked');
    expect(target()).toBe('previous content');
  });

  test('a destination that is away is not one whose staging was revoked', () => {
    fs.mkdirSync(path('disk'));
    const operation = new Operation(folder(), path('source'), path('disk', 'target')).readyToPublish();
    fs.renameSync(path('disk'), path('unplugged'));
    expect(codeOf(() => operation.publish())).toBe('DestinationGone');
    fs.mkdirSync(path('disk'));
    expect(codeOf(() => operation.publish())).toBe('DestinationGone');
    expect(fs.readdirSync(path('disk'))).toEqual([]);
    fs.rmdirSync(path('disk'));
    fs.renameSync(path('unplugged'), path('disk'));
    expect(operation.publish()).toBe('link');
  });

  test('a cancelled attempt does not begin', () => {
    const operation = ready();
    operation.control.cancel();
    expect(codeOf(() => operation.publish())).toBe('Cancelled');
    expect(fs.existsSync(path('target'))).toBe(false);
  });
});

test('a parent that becomes a symbolic link is not followed', () => {
  fs.mkdirSync(path('there'));
  fs.mkdirSync(path('elsewhere'));
  const operation = new Operation(folder(), path('source'), path('there', 'target')).readyToPublish();
  fs.renameSync(path('there'), path('moved'));
  fs.symlinkSync('elsewhere', path('there'));
  expect(codeOf(() => operation.publish())).toBe('TargetNotCanonical');
  expect(fs.readdirSync(path('elsewhere'))).toEqual([]);
});

test('a parent that becomes a symbolic link during the work does not redirect it', () => {
  fs.mkdirSync(path('there'));
  fs.mkdirSync(path('elsewhere'));
  const operation = new Operation(folder(), path('source'), path('there', 'target')).readyToPublish();
  const swap = (): void => {
    fs.renameSync(path('there'), path('moved'));
    fs.symlinkSync('elsewhere', path('there'));
  };
  expect(withInterruption('linkSync', 1, swap, () => operation.publish())).toBe('link');
  expect(fs.readFileSync(path('moved', 'target'), 'utf8')).toBe(content);
  expect(fs.readdirSync(path('elsewhere'))).toEqual([]);
});

test('a staged name that leads out of the staging directory is refused: nothing else is published', () => {
  const operation = ready();
  fs.writeFileSync(path('precious'), 'x');
  const { location, prepared, staged, control } = operation;
  expect(codeOf(() => publishFile({ location, prepared: prepared!, stagedName: '../precious', expected: staged! }, control))).toBe('InvalidInput');
  expect(fs.existsSync(path('target'))).toBe(false);
});

describe('without hard links', () => {
  const readyWithout = (previous: boolean): Operation => withoutHardLinks(() => ready({ previous }));

  test('that is found out, and the target is renamed into place', () => {
    const operation = readyWithout(false);
    expect(operation.prepared?.hardLinks).toBe(false);
    expect(withoutHardLinks(() => operation.publish())).toBe('rename');
    expect(target()).toBe(content);
  });

  test('a target that somebody else created meanwhile is a conflict', () => {
    const operation = readyWithout(false);
    fs.writeFileSync(path('target'), 'somebody else\'s');
    expect(codeOf(() => withoutHardLinks(() => operation.publish()))).toBe('DestinationConflict');
    expect(target()).toBe('somebody else\'s');
  });

  test('a previous target is kept as a copy with its content, mode and time', () => {
    const operation = readyWithout(true);
    fs.chmodSync(path('target'), 0o4640);
    const { mtimeMs, mode } = fs.statSync(path('target'));
    withoutHardLinks(() => operation.publish());
    const kept = join(operation.stagingPath, 'previous');
    expect(fs.readFileSync(kept, 'utf8')).toBe('previous content');
    expect(fs.statSync(kept).mode).toBe(mode);
    expect(Math.abs(fs.statSync(kept).mtimeMs - mtimeMs)).toBeLessThan(0.001);
    expect(target()).toBe(content);
  });

  test.each([false, true])('a repeated publish adopts the finished target after reading it (previous target: %s)', (previous) => {
    const operation = readyWithout(previous);
    withoutHardLinks(() => operation.publish());
    const before = treeOf(folder());
    expect(withoutHardLinks(() => operation.publish())).toBe('rename');
    expect(treeOf(folder())).toEqual(before);
  });

  test.each([false, true])('a finished target that is damaged is not adopted (previous target: %s)', (previous) => {
    const operation = readyWithout(previous);
    withoutHardLinks(() => operation.publish());
    damage(path('target'), 3);
    expect(codeOf(() => withoutHardLinks(() => operation.publish()))).toBe('DestinationConflict');
  });

  test('an attempt that overlaps one that is published never takes the new target for the previous one', () => {
    const operation = readyWithout(true);
    // The first attempt has looked at the target and stands before copying it; the second one runs through meanwhile.
    const restore = interceptFs(({ name, args }, proceed) => {
      if (name === 'linkSync') {
        if (String(args[1]).endsWith('/previous')) withoutHardLinks(() => operation.publish());
        throw Object.assign(new Error('EPERM'), { code: 'EPERM', errno: -1 });
      }
      return proceed();
    });
    try {
      expect(['DestinationConflict', 'StagingRevoked']).toContain(codeOf(() => operation.publish()));
    } finally {
      restore();
    }
    expect(target()).toBe(content);
    expect(fs.readFileSync(join(operation.stagingPath, 'previous'), 'utf8')).toBe('previous content');
  });
});

test('a file of another owner that may not be linked (protected_hardlinks) is kept as a copy', () => {
  const operation = ready({ previous: true });
  const refuse = ([, to]: readonly unknown[], proceed: () => unknown): unknown => {
    if (String(to).endsWith('/previous')) throw Object.assign(new Error('EPERM'), { code: 'EPERM', errno: -1 });
    return proceed();
  };
  expect(withPatched('linkSync', refuse, () => operation.publish())).toBe('rename');
  expect(fs.readFileSync(join(operation.stagingPath, 'previous'), 'utf8')).toBe('previous content');
  expect(operation.unpublish()).toBe('restored');
  expect(target()).toBe('previous content');
});

test('no descriptor stays open, whatever the end', () => {
  const before = openDescriptors();
  const operation = ready({ previous: true });
  operation.publish();
  operation.publish();
  damage(path('target'));
  codeOf(() => operation.publish());
  operation.undo();
  codeOf(() => operation.publish());
  expect(openDescriptors()).toBe(before);
});
