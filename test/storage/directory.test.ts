import * as fs from 'node:fs';
import { join } from 'node:path';
import { failureTypeOf } from '../../src/failures';
import { inDirectory, inParent, OpenDirectory } from '../../src/storage/directory';
import { blaming, errnoName, isErrno, StorageError } from '../../src/storage/errors';
import { openDescriptors, useFolder } from '../helpers/files';
import { codeOf, thrownBy } from './operation';
import { errnoError, interceptFs } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);

beforeEach(() => {
  fs.mkdirSync(path('a', 'b', 'c'), { recursive: true });
  fs.writeFileSync(path('a', 'b', 'c', 'file'), 'wanted');
  fs.mkdirSync(path('evil', 'b', 'c'), { recursive: true });
  fs.writeFileSync(path('evil', 'b', 'c', 'file'), 'secret');
});

describe('an open directory', () => {
  test('names its entries whatever its own path names by now', () => {
    inParent(folder(), path('a', 'b', 'c', 'file'), 'source', (parent, name) => {
      fs.renameSync(path('a'), path('moved'));
      fs.symlinkSync('evil', path('a'));
      expect(fs.readFileSync(parent.entry(name), 'utf8')).toBe('wanted');
    });
  });

  test.each(['a', 'b', 'c'])('is not reached through a link at "%s", and the real path is named', (name) => {
    const names = ['a', 'b', 'c'];
    const link = path(...names.slice(0, names.indexOf(name) + 1));
    fs.renameSync(link, path('real'));
    fs.symlinkSync(path('real'), link);
    const target = thrownBy(() => OpenDirectory.open(folder(), path('a', 'b', 'c'), 'destination'));
    expect(target.code).toBe('TargetNotCanonical');
    expect(target.message).toContain(path('real'));
    expect(codeOf(() => OpenDirectory.open(folder(), path('a', 'b', 'c'), 'source'))).toBe('SourceNotCanonical');
  });

  test.each(['a', 'b', 'c'])('is not reached through a link that replaces "%s" while it is opened', (name) => {
    const names = ['a', 'b', 'c'];
    const victim = path(...names.slice(0, names.indexOf(name) + 1));
    const before = openDescriptors();
    let isSwapped = false;
    const restore = interceptFs((call, proceed) => {
      const result = proceed();
      if (call.name === 'openSync' && !isSwapped) {
        isSwapped = true;
        fs.renameSync(victim, path('real'));
        fs.symlinkSync(path('real'), victim);
      }
      return result;
    });
    try {
      expect(codeOf(() => OpenDirectory.open(folder(), path('a', 'b', 'c'), 'destination'))).toBe('TargetNotCanonical');
    } finally {
      restore();
    }
    expect(openDescriptors()).toBe(before);
  });

  test('is the root itself, or below it, and never beside it', () => {
    inDirectory(path('a'), path('a'), 'destination', (directory) => expect(fs.readdirSync(directory.entry('.'))).toEqual(['b']));
    expect(codeOf(() => OpenDirectory.open(path('a'), path('evil'), 'destination'))).toBe('EACCES');
    expect(codeOf(() => OpenDirectory.open(path('a'), path('aa'), 'destination'))).toBe('EACCES');
  });

  test('may be the root of the file system', () => {
    inDirectory('/', folder(), 'source', (directory) => expect(fs.readdirSync(directory.entry('.')).sort()).toEqual(['a', 'evil']));
    inDirectory('/', '/', 'source', (directory) => expect(fs.existsSync(directory.entry('proc'))).toBe(true));
  });

  test('is no file', () => {
    expect(codeOf(() => OpenDirectory.open(folder(), path('a', 'b', 'c', 'file'), 'destination'))).toBe('TargetNotCanonical');
  });

  test('is missing where it is missing, on the side that was asked for', () => {
    expect(thrownBy(() => OpenDirectory.open(folder(), path('x', 'y'), 'source'))).toMatchObject({ code: 'ENOENT', side: 'source', path: path('x', 'y') });
  });

  test('is closed again, whatever the calls do', () => {
    const before = openDescriptors();
    inDirectory(folder(), path('a', 'b'), 'destination', () => undefined);
    expect(() => inDirectory(folder(), path('a', 'b'), 'destination', () => { throw new Error('stopped'); })).toThrow('stopped');
    codeOf(() => OpenDirectory.open(folder(), path('a', 'x', 'c'), 'destination'));
    expect(openDescriptors()).toBe(before);
  });
});

describe('errors', () => {
  test.each([
    ['EDQUOT', 122, 'NoSpace'],
    ['ESTALE', 116, 'DestinationError'],
    ['ENODEV', 19, 'DestinationGone'],
  ] as const)('%s, which Node may call an unknown system error, is known by its number', (name, errno, type) => {
    const error = Object.assign(new Error(`Unknown system error -${errno}`), { code: `Unknown system error -${errno}`, errno: -errno });
    expect(errnoName(error)).toBe(name);
    expect(failureTypeOf(errnoName(error)!, 'destination')).toBe(type);
  });

  test('EAGAIN is not called by its second name', () => {
    expect(errnoName(errnoError('EAGAIN', 11))).toBe('EAGAIN');
  });

  test.each([[undefined], ['text'], [new Error('plain')], [new RangeError('x')]])('%p is no file system error', (error) => {
    expect(errnoName(error)).toBeUndefined();
    expect(isErrno(error, 'ENOENT')).toBe(false);
  });

  test('real ones of this system have their names', () => {
    const name = (calls: () => unknown): string | undefined => {
      try {
        calls();
        return undefined;
      } catch (error) {
        return errnoName(error);
      }
    };
    expect(name(() => fs.readFileSync(path('nothing')))).toBe('ENOENT');
    expect(name(() => fs.readFileSync(path('a')))).toBe('EISDIR');
    expect(name(() => fs.rmdirSync(path('a')))).toBe('ENOTEMPTY');
    expect(name(() => fs.readdirSync(path('a', 'b', 'c', 'file')))).toBe('ENOTDIR');
    expect(name(() => fs.linkSync(path('a', 'b', 'c', 'file'), path('evil', 'b', 'c', 'file')))).toBe('EEXIST');
  });

  test('blaming names side and path, keeps the cause, and leaves what is blamed already', () => {
    const cause = errnoError('EIO', 5);
    const error = thrownBy(() => blaming('destination', '/outer', () => blaming('source', '/inner', () => { throw cause; })));
    expect(error).toMatchObject({ code: 'EIO', side: 'source', path: '/inner', cause });
    expect(error.message).toBe('test of source /inner failed: EIO');
  });

  test('blaming leaves errors of the program alone', () => {
    expect(() => blaming('source', '/x', () => { throw new TypeError('mistake'); })).toThrow(TypeError);
    expect(new StorageError('X', 'source', '/x', 'm')).toBeInstanceOf(Error);
  });
});
