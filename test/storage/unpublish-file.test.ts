import * as fs from 'node:fs';
import { join } from 'node:path';
import { contentOf, damage, openDescriptors, treeOf, useFolder } from '../helpers/files';
import { codeOf, Operation, thrownBy, writePrevious } from './operation';
import { withInterruption, withoutHardLinks, withPatched } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const content = 'content of the source';

beforeEach(() => fs.writeFileSync(path('source'), content));

function ready({ previous = false } = {}): Operation {
  if (previous) writePrevious(path('target'));
  return new Operation(folder()).readyToPublish();
}

function published({ previous = false } = {}): Operation {
  const operation = ready({ previous });
  operation.publish();
  return operation;
}

const target = (): string => fs.readFileSync(path('target'), 'utf8');
const replaceTarget = (text: string): void => {
  fs.writeFileSync(path('new'), text);
  fs.renameSync(path('new'), path('target'));
};

describe('undo of a publish', () => {
  test('puts the previous target back, the very same file with the same mode and time', () => {
    writePrevious(path('target'));
    const before = treeOf(folder());
    const operation = new Operation(folder()).readyToPublish();
    operation.publish();
    expect(operation.unpublish()).toBe('restored');
    operation.discard();
    expect(treeOf(folder())).toEqual(before);
  });

  test('takes a new target away', () => {
    const before = treeOf(folder());
    const operation = published();
    expect(operation.unpublish()).toBe('removed');
    operation.discard();
    expect(treeOf(folder())).toEqual(before);
  });

  test('of a target that was never published leaves everything as it was', () => {
    writePrevious(path('target'));
    const before = treeOf(folder());
    const operation = new Operation(folder()).readyToPublish();
    expect(operation.unpublish()).toBe('untouched');
    operation.discard();
    expect(treeOf(folder())).toEqual(before);
  });

  test('after verification failed leaves the previous target byte for byte, same mode, time and inode', () => {
    writePrevious(path('target'));
    const before = treeOf(folder());
    const operation = new Operation(folder()).readyToPublish();
    damage(operation.stagedPath);
    expect(codeOf(() => operation.verify())).toBe('ChecksumMismatch');
    operation.undo();
    expect(treeOf(folder())).toEqual(before);
  });

  test.each([false, true])('twice is the same as once (previous target: %s)', (previous) => {
    const operation = published({ previous });
    operation.unpublish();
    const after = treeOf(folder());
    expect(operation.unpublish()).toBe('untouched');
    expect(treeOf(folder())).toEqual(after);
    operation.discard();
    operation.discard();
    operation.unpublish();
    expect(fs.readdirSync(folder()).sort()).toEqual(previous ? ['source', 'target'] : ['source']);
  });

  test.each([false, true])('also takes back a target that was damaged since (previous target: %s)', (previous) => {
    const operation = published({ previous });
    damage(path('target'));
    expect(operation.unpublish()).toBe(previous ? 'restored' : 'removed');
  });

  test('puts the previous target back when ours was removed meanwhile', () => {
    const operation = published({ previous: true });
    fs.unlinkSync(path('target'));
    expect(operation.unpublish()).toBe('restored');
    expect(target()).toBe('previous content');
  });

  test('revokes before it touches the target', () => {
    const operation = published({ previous: true });
    expect(() => withPatched('lstatSync', () => { throw new Error('stopped'); }, () => operation.unpublish())).toThrow('stopped');
    expect(fs.existsSync(operation.stagingPath)).toBe(false);
    expect(fs.existsSync(operation.revokedPath)).toBe(true);
    expect(target()).toBe(content);
  });
});

describe('a target of somebody else', () => {
  test.each([
    ['other content', 'somebody else\'s'],
    ['the very same content', content],
  ])('that replaced the published one with %s is left alone (no previous target)', (_title, text) => {
    const operation = published();
    replaceTarget(text);
    const before = treeOf(folder())['target'];
    expect(operation.unpublish()).toBe('foreign');
    operation.discard();
    expect(treeOf(folder())).toEqual({ source: treeOf(folder())['source'], target: before });
  });

  test.each([
    ['other content', 'somebody else\'s'],
    ['the very same content', content],
  ])('that replaced the published one with %s is left alone (with a previous target)', (_title, text) => {
    const operation = published({ previous: true });
    replaceTarget(text);
    const before = treeOf(folder())['target'];
    expect(operation.unpublish()).toBe('foreign');
    operation.discard();
    expect(treeOf(folder())).toEqual({ source: treeOf(folder())['source'], target: before });
  });

  test('that was created before ours was published is left alone, whatever it holds', () => {
    const operation = ready();
    fs.writeFileSync(path('target'), content);
    const before = treeOf(folder())['target'];
    expect(operation.unpublish()).toBe('foreign');
    operation.discard();
    expect(treeOf(folder())['target']).toBe(before);
  });

  test('that replaced the previous one before ours was published is left alone', () => {
    const operation = ready({ previous: true });
    replaceTarget(content);
    const before = treeOf(folder())['target'];
    codeOf(() => operation.publish());
    operation.undo();
    expect(treeOf(folder())).toEqual({ source: treeOf(folder())['source'], target: before });
  });

  test('that comes between looking and taking away is put back', () => {
    const operation = published();
    const replace = ([, to]: readonly unknown[], proceed: () => unknown): unknown => {
      if (String(to).endsWith('/unpublished')) replaceTarget('somebody else\'s');
      return proceed();
    };
    expect(withPatched('renameSync', replace, () => operation.unpublish())).toBe('foreign');
    expect(target()).toBe('somebody else\'s');
    operation.discard();
    expect(fs.readdirSync(folder()).sort()).toEqual(['source', 'target']);
  });

  test('that cannot be put back, since a third one took the name, is kept and named', () => {
    const operation = published();
    const replace = ([from, to]: readonly unknown[], proceed: () => unknown): unknown => {
      if (String(to).endsWith('/unpublished')) replaceTarget('somebody else\'s');
      const result = proceed();
      if (String(to).endsWith('/unpublished')) fs.writeFileSync(path('target'), 'a third one\'s');
      return result ?? from;
    };
    expect(withPatched('renameSync', replace, () => operation.unpublish())).toBe('foreign');
    expect(target()).toBe('a third one\'s');
    const error = thrownBy(() => operation.discard());
    expect(error.code).toBe('RollbackFailed');
    expect(fs.readFileSync(String(error.found.found), 'utf8')).toBe('somebody else\'s');
  });

  test('that is a directory by now is left alone', () => {
    const operation = published({ previous: true });
    fs.unlinkSync(path('target'));
    fs.mkdirSync(path('target'));
    expect(operation.unpublish()).toBe('foreign');
    expect(fs.statSync(path('target')).isDirectory()).toBe(true);
  });
});

describe('discarding', () => {
  test.each([
    ['prepared', (operation: Operation) => void operation.prepare()],
    ['staged', (operation: Operation) => void operation.readyToPublish()],
  ])('what was %s leaves nothing', (_title, steps) => {
    const before = treeOf(folder());
    const operation = new Operation(folder());
    steps(operation);
    operation.discard();
    operation.discard();
    expect(treeOf(folder())).toEqual(before);
  });

  test('what was never prepared is no trouble', () => {
    const operation = new Operation(folder());
    operation.discard();
    expect(fs.readdirSync(folder())).toEqual(['source']);
  });

  test('refuses to lose a kept previous target, says where it lies, and does so every time', () => {
    const operation = published({ previous: true });
    for (let time = 1; time <= 2; time += 1) {
      const error = thrownBy(() => operation.discard());
      expect(error.code).toBe('RollbackFailed');
      expect(fs.readFileSync(String(error.found.found), 'utf8')).toBe('previous content');
      expect(error.message).toContain(String(error.found.found));
    }
    expect(target()).toBe(content);
    expect(operation.unpublish()).toBe('restored');
    operation.discard();
    expect(fs.readdirSync(folder()).sort()).toEqual(['source', 'target']);
  });

  test('removes the parents that it created, and only empty ones', () => {
    const operation = new Operation(folder(), path('source'), path('a', 'b', 'c', 'target')).readyToPublish();
    fs.writeFileSync(path('a', 'somebody else\'s'), 'x');
    operation.discard();
    expect(Object.keys(treeOf(folder()))).toEqual(['a', 'a/somebody else\'s', 'source']);
  });

  test('never removes a parent that was there before', () => {
    fs.mkdirSync(path('there'));
    new Operation(folder(), path('source'), path('there', 'new', 'target')).readyToPublish().discard();
    expect(Object.keys(treeOf(folder()))).toEqual(['source', 'there']);
  });

  test('goes on when an earlier attempt removed the parents already', () => {
    const operation = new Operation(folder(), path('source'), path('a', 'b', 'target')).readyToPublish();
    operation.discard();
    operation.discard();
    expect(operation.unpublish()).toBe('untouched');
    expect(fs.readdirSync(folder())).toEqual(['source']);
  });

  test('goes on where an earlier attempt stopped half-way through the files', () => {
    const operation = ready({ previous: true });
    expect(() => withInterruption('unlinkSync', 2, () => { throw new Error('stopped'); }, () => operation.discard())).toThrow('stopped');
    operation.discard();
    expect(fs.readdirSync(folder()).sort()).toEqual(['source', 'target']);
  });

  test('removes staging that a late prepareStaging made after it was revoked', () => {
    const operation = ready();
    fs.renameSync(operation.stagingPath, operation.revokedPath);
    fs.mkdirSync(operation.stagingPath, { mode: 0o700 });
    fs.copyFileSync(join(operation.revokedPath, 'record.json'), join(operation.stagingPath, 'record.json'));
    operation.discard();
    expect(fs.readdirSync(folder())).toEqual(['source']);
  });

  test('follows no link that stands for a parent, and deletes nothing behind it', () => {
    fs.mkdirSync(path('there'));
    const operation = new Operation(folder(), path('source'), path('there', 'target')).readyToPublish();
    fs.renameSync(path('there'), path('moved'));
    fs.symlinkSync('moved', path('there'));
    expect(codeOf(() => operation.discard())).toBe('TargetNotCanonical');
    expect(fs.existsSync(path('moved', `.file-backup-${operation.runId}`))).toBe(true);
  });
});

describe('the commit', () => {
  test.each([false, true])('leaves the target and nothing else (previous target: %s)', (previous) => {
    const operation = published({ previous });
    const before = treeOf(folder())['target'];
    operation.finalize();
    expect(treeOf(folder())).toEqual({ source: treeOf(folder())['source'], target: before });
    operation.finalize();
    expect(treeOf(folder())['target']).toBe(before);
  });

  test('keeps the parents that were created', () => {
    new Operation(folder(), path('source'), path('a', 'b', 'target')).complete();
    expect(fs.readFileSync(path('a', 'b', 'target'), 'utf8')).toBe(content);
  });

  test('is out of the way before it deletes anything: a late publish finds nothing', () => {
    const operation = published();
    expect(() => withPatched('unlinkSync', () => { throw new Error('stopped'); }, () => operation.finalize())).toThrow('stopped');
    expect(codeOf(() => operation.publish())).toBe('StagingRevoked');
    operation.finalize();
    expect(fs.readdirSync(folder()).sort()).toEqual(['source', 'target']);
  });
});

describe('a destination that is away', () => {
  test.each([
    ['unpublish', (operation: Operation) => operation.unpublish()],
    ['discard', (operation: Operation) => operation.discard()],
    ['finalize', (operation: Operation) => operation.finalize()],
  ])('is never taken for work that is done: %s', (_title, step) => {
    fs.mkdirSync(path('disk'));
    writePrevious(path('disk', 'target'));
    const operation = new Operation(folder(), path('source'), path('disk', 'target')).readyToPublish();
    operation.publish();
    fs.renameSync(path('disk'), path('unplugged'));
    expect(codeOf(() => step(operation))).toBe('DestinationGone');
    fs.mkdirSync(path('disk'));
    expect(codeOf(() => step(operation))).toBe('DestinationGone');
    fs.rmdirSync(path('disk'));
    fs.renameSync(path('unplugged'), path('disk'));
    operation.unpublish();
    expect(fs.readFileSync(path('disk', 'target'), 'utf8')).toBe('previous content');
  });
});

describe('without hard links', () => {
  function publishedWithout({ previous = false } = {}): Operation {
    return withoutHardLinks(() => published({ previous }));
  }
  const unpublish = (operation: Operation): string => withoutHardLinks(() => operation.unpublish());

  test('undo puts the previous target back: content, mode, owner and time', () => {
    writePrevious(path('target'));
    if (process.getuid?.() === 0) fs.chownSync(path('target'), 12_345, 23_456);
    const { mode, uid, gid, mtimeMs } = fs.statSync(path('target'));
    const operation = withoutHardLinks(() => new Operation(folder()).readyToPublish());
    withoutHardLinks(() => operation.publish());
    expect(unpublish(operation)).toBe('restored');
    operation.discard();
    expect(fs.readdirSync(folder()).sort()).toEqual(['source', 'target']);
    expect(target()).toBe('previous content');
    expect(fs.statSync(path('target'))).toMatchObject({ mode, uid, gid });
    expect(Math.abs(fs.statSync(path('target')).mtimeMs - mtimeMs)).toBeLessThan(0.001);
  });

  test('undo takes a new target away', () => {
    const operation = publishedWithout();
    expect(unpublish(operation)).toBe('removed');
    operation.discard();
    expect(fs.readdirSync(folder())).toEqual(['source']);
  });

  test('undo leaves a target alone that somebody else created, even with the very same content', () => {
    const operation = withoutHardLinks(() => ready());
    fs.writeFileSync(path('target'), content);
    expect(unpublish(operation)).toBe('foreign');
    expect(target()).toBe(content);
  });

  test('undo leaves a target alone that somebody else wrote since', () => {
    const operation = publishedWithout();
    replaceTarget('somebody else\'s');
    expect(unpublish(operation)).toBe('foreign');
    operation.discard();
    expect(target()).toBe('somebody else\'s');
  });

  test('undo leaves the previous target alone when its copy was kept and ours never published', () => {
    writePrevious(path('target'));
    const before = treeOf(folder());
    const operation = withoutHardLinks(() => new Operation(folder()).readyToPublish());
    const stop = ([, to]: readonly unknown[], proceed: () => unknown): unknown => {
      if (String(to).endsWith('/target')) throw new Error('stopped');
      return proceed();
    };
    expect(() => withoutHardLinksAnd('renameSync', stop, () => operation.publish())).toThrow('stopped');
    expect(unpublish(operation)).toBe('untouched');
    operation.discard();
    expect(treeOf(folder())).toEqual(before);
  });

  test('a previous target is not lost when the published one is damaged and so not known any more', () => {
    const operation = publishedWithout({ previous: true });
    damage(path('target'));
    expect(unpublish(operation)).toBe('foreign');
    const error = thrownBy(() => operation.discard());
    expect(error.code).toBe('RollbackFailed');
    expect(fs.readFileSync(String(error.found.found), 'utf8')).toBe('previous content');
  });
});

test('a large target is not read to find out whether it is ours, where hard links tell', () => {
  fs.writeFileSync(path('source'), contentOf(1, 3 * 1024 * 1024));
  const operation = published();
  expect(withPatched('readSync', () => { throw new Error('read'); }, () => operation.unpublish())).toBe('removed');
});

test('no descriptor stays open, whatever the end', () => {
  const before = openDescriptors();
  const operation = published({ previous: true });
  codeOf(() => operation.discard());
  operation.unpublish();
  operation.discard();
  operation.discard();
  fs.rmSync(path('target'));
  published().finalize();
  expect(openDescriptors()).toBe(before);
});

/** Without hard links and with another function patched as well. */
function withoutHardLinksAnd<T>(name: 'renameSync', replacement: (args: readonly unknown[], proceed: () => unknown) => unknown, calls: () => T): T {
  return withoutHardLinks(() => withPatched(name, replacement, calls));
}
