import * as fs from 'node:fs';
import { join } from 'node:path';
import { TransferControl } from '../../src/storage/control';
import { readBack, readBackFrom } from '../../src/storage/read-back';
import { contentOf, hasMemoryFolder, makeFolder, memoryFolder, openDescriptors, removeFolder, sha256, useFolder } from '../helpers/files';
import { codeOf } from './operation';
import { errnoError, withPatched } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const file = (): string => join(folder(), 'file');
const { O_DIRECT } = fs.constants;

/** What the temporary folder's file system can do, found out without the code under test. */
function takesDirectReads(path: string): boolean {
  if (O_DIRECT === undefined || fs.statfsSync(path).type === 0x01021994) return false;
  try {
    fs.closeSync(fs.openSync(path, fs.constants.O_RDONLY | O_DIRECT));
    return true;
  } catch {
    return false;
  }
}

test.each([0, 1, 511, 512, 4095, 4096, 4097, 1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1, 2 * 1024 * 1024 + 4096])('a file of %d bytes is digested whole, from the device and from memory', (sizeBytes) => {
  const content = contentOf(sizeBytes, sizeBytes);
  fs.writeFileSync(file(), content, { flush: true });
  const control = new TransferControl();
  expect(readBack(file(), 'device', control)).toMatchObject({ sha256: sha256(content), sizeBytes });
  expect(readBack(file(), 'cache', control)).toEqual({ sha256: sha256(content), sizeBytes, from: 'cache' });
  expect(control.phase).toBe('transfer');
});

describe.each(['device', 'cache'] as const)('a file that should be of a certain length, read from the %s', (where) => {
  test.each([
    [0, 0],
    [1, 0],
    [100, 4096],
    [4096, 4096],
    [16 * 1024, 16 * 1024],
    [16 * 1024 + 1, 16 * 1024],
    [50_000, 16 * 1024],
    [1024 * 1024, 1024 * 1024],
    [1024 * 1024 + 1, 1024 * 1024],
    [3 * 1024 * 1024 + 7, 3 * 1024 * 1024 + 7],
    [100, 3 * 1024 * 1024],
  ])('has %d bytes where %d are expected, and is digested whole', (sizeBytes, expectedBytes) => {
    const content = contentOf(sizeBytes + 1, sizeBytes);
    fs.writeFileSync(file(), content, { flush: true });
    expect(readBackFrom(file(), where, new TransferControl(), expectedBytes)).toMatchObject({ sha256: sha256(content), sizeBytes });
  });
});

test('reads from the device where the file system takes direct reads, and says so', () => {
  fs.writeFileSync(file(), contentOf(1, 8192), { flush: true });
  const flags: number[] = [];
  const look = (args: readonly unknown[], proceed: () => unknown): unknown => {
    flags.push(args[1] as number);
    return proceed();
  };
  const { from } = withPatched('openSync', look, () => readBack(file(), 'device', new TransferControl()));
  expect(from).toBe(takesDirectReads(file()) ? 'device' : 'cache');
  expect((flags.at(-1)! & O_DIRECT) !== 0).toBe(from === 'device');
});

(hasMemoryFolder() ? test : test.skip)('a file in memory is never said to have been read from a device', () => {
  const memory = makeFolder(memoryFolder());
  try {
    fs.writeFileSync(join(memory, 'file'), 'x');
    expect(readBack(join(memory, 'file'), 'device', new TransferControl())).toMatchObject({ from: 'cache', sha256: sha256('x') });
  } finally {
    removeFolder(memory);
  }
});

describe('a file system that refuses direct reads', () => {
  const content = contentOf(2, 1024 * 1024 + 5);
  beforeEach(() => fs.writeFileSync(file(), content));

  test.each([
    ['EINVAL', 22],
    ['EOPNOTSUPP', 95],
  ])('when opening, with %s, is read through memory, and the answer says so', (code, errno) => {
    const refuse = (args: readonly unknown[], proceed: () => unknown): unknown => {
      if (((args[1] as number) & O_DIRECT) !== 0) throw errnoError(code, errno);
      return proceed();
    };
    expect(withPatched('openSync', refuse, () => readBack(file(), 'device', new TransferControl()))).toEqual({ sha256: sha256(content), sizeBytes: content.length, from: 'cache' });
  });

  test('only when reading is read through memory too, from the beginning', () => {
    if (!takesDirectReads(file())) return;
    let reads = 0;
    const refuse = (_args: readonly unknown[], proceed: () => unknown): unknown => {
      reads += 1;
      if (reads === 2) throw errnoError('EINVAL', 22);
      return proceed();
    };
    const before = openDescriptors();
    expect(withPatched('readSync', refuse, () => readBack(file(), 'device', new TransferControl()))).toEqual({ sha256: sha256(content), sizeBytes: content.length, from: 'cache' });
    expect(openDescriptors()).toBe(before);
  });

  test('a read error of the device is an error and not a reason to ask memory', () => {
    const fail = (): never => { throw errnoError('EIO', 5); };
    expect(() => withPatched('readSync', fail, () => readBack(file(), 'device', new TransferControl()))).toThrow('EIO');
  });
});

test('short reads are continued', () => {
  const content = contentOf(3, 100_000);
  fs.writeFileSync(file(), content);
  const short = ([descriptor, buffer, offset, length, position]: readonly unknown[]): unknown =>
    fs.readSync(descriptor as number, buffer as Buffer, offset as number, Math.min(length as number, 4096), position as number);
  expect(withPatched('readSync', short, () => readBack(file(), 'cache', new TransferControl())).sha256).toBe(sha256(content));
});

test('what was read is counted, and a cancellation arrives between two pieces', () => {
  fs.writeFileSync(file(), contentOf(4, 3 * 1024 * 1024));
  const control = new TransferControl();
  const cancelLate = (_args: readonly unknown[], proceed: () => unknown): unknown => {
    if (control.movedBytes === 1024 * 1024) control.cancel();
    return proceed();
  };
  expect(codeOf(() => withPatched('readSync', cancelLate, () => readBack(file(), 'cache', control)))).toBe('Cancelled');
  expect(control.movedBytes).toBe(2 * 1024 * 1024);
});

test('progress and cancellation are seen through the shared memory', () => {
  const here = new TransferControl();
  const there = new TransferControl(here.memory);
  there.enter('sync');
  there.moved(5_000_000_000);
  there.moved(1);
  expect(here.phase).toBe('sync');
  expect(here.movedBytes).toBe(5_000_000_001);
  here.cancel();
  expect(codeOf(() => there.throwIfCancelled())).toBe('Cancelled');
});
