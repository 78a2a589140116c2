import * as fs from 'node:fs';
import { join } from 'node:path';
import { workOff } from '../../../src/storage/batch/backup-chunk';
import { fullText, requireSpace } from '../../../src/storage/batch/free-space';
import { stageChunk } from '../../../src/storage/batch/stage-chunk';
import { StorageError } from '../../../src/storage/errors';
import { useFolder } from '../../helpers/files';
import { codeOf, thrownBy } from '../operation';
import { errnoError, interceptFs, withPatched } from '../patched-fs';
import { Run } from './run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const codes = { source: [], destination: ['ENOSPC', 'EDQUOT', 'EIO'] };
const space = ['ENOSPC', 'EDQUOT'];

interface Free {
  readonly bytes?: number;
  readonly files?: number;
}

/** As if the file system had no more than this left. */
function withFree<T>(free: () => Free, calls: () => T): T {
  const answer = (): object => {
    const { bytes = 2 ** 40, files = 1_000_000 } = free();
    return { type: 0xef53, bsize: 1, blocks: 2 ** 41, bavail: bytes, bfree: bytes, files: 2_000_000, ffree: files };
  };
  return withPatched('statfsSync', answer, calls);
}

function sources(count: number): string[] {
  const names = Array.from({ length: count }, (_, index) => path(`file-${String(index).padStart(3, '0')}`));
  for (const name of names) fs.writeFileSync(name, `content of ${name}`);
  return names;
}

test('a disk without inodes is full, and says so, however many bytes it has', () => {
  withFree(() => ({ files: 16 }), () => {
    expect(fullText([folder()])).toBe(`${folder()} is full: 1.000 TiB and 16 inodes are free, and these are kept for the run's record`);
    expect(thrownBy(() => requireSpace(folder(), path('new'), 1))).toMatchObject({ code: 'ENOSPC', message: expect.stringContaining('16 inodes are free') as string });
  });
  expect(withFree(() => ({ files: 18 }), () => fullText([folder()]))).toBeUndefined();
});

test('a disk that has no place for one large file is not full', () => {
  withFree(() => ({ bytes: 5_000_000 }), () => {
    expect(codeOf(() => requireSpace(folder(), path('large'), 4_500_000))).toBe('ENOSPC');
    expect(fullText([folder()])).toBeUndefined();
  });
});

test('a file system that does not say what it has is taken at its word, and a used quota at the error\'s', () => {
  const silent = (): object => ({ type: 1, bsize: 4096, blocks: 0, bavail: 0, files: 0, ffree: 0 });
  withPatched('statfsSync', silent, () => {
    expect(() => requireSpace(folder(), path('new'), 2 ** 50)).not.toThrow();
    expect(fullText([folder()])).toBeUndefined();
    expect(fullText([folder()], true)).toContain('quota');
  });
});

describe('a chunk that meets a full disk', () => {
  const rule = (isLast: boolean) => ({ codes, space, isLast, mostFailures: 20 });

  test('gives up before it copies anything, to be tried again as a whole', () => {
    const run = new Run(folder(), false);
    run.plan(sources(60));
    const writes: string[] = [];
    const restore = interceptFs(({ name }, proceed) => (name === 'writeSync' && writes.push(name), proceed()));
    const error = withFree(() => ({ files: 3 }), () => thrownBy(() => workOff({ ...run.attempt(), illness: rule(false) }, stageChunk, run.control)));
    restore();
    expect(error).toMatchObject({ code: 'ENOSPC', message: expect.stringContaining('is full') as string });
    expect(writes).toEqual([]);
    expect(fs.readdirSync(path('backups')).filter((name) => name.endsWith('.backup'))).toEqual([]);
  });

  test('takes what fits at its last attempt, and names the rest in its journal', () => {
    const run = new Run(folder(), false);
    run.plan(sources(60));
    let files = 16 + 30;
    const counting = interceptFs(({ name, args }, proceed) => {
      if (name === 'openSync' && typeof args[1] === 'number' && (args[1] & fs.constants.O_EXCL) !== 0) files -= 1;
      return name === 'statfsSync' ? { type: 0xef53, bsize: 1, blocks: 2 ** 41, bavail: 2 ** 40, files: 2_000_000, ffree: files } : proceed();
    });
    const report = workOff({ ...run.attempt(), illness: rule(true) }, stageChunk, run.control);
    counting();
    expect(report.counts).toEqual({ backedUp: 30, unchanged: 0, failed: 30 });
    expect(new Set(report.failed.map(({ failure }) => failure.code))).toEqual(new Set(['ENOSPC']));
    expect(run.seal()).toMatchObject({ files: 60, backedUp: 30, failed: 30 });
  });

  test('is not ill for files that are too large for what is left', () => {
    const run = new Run(folder(), false);
    run.plan(sources(60));
    const report = withFree(() => ({ bytes: 1024 * 1024 + 64 * 1024 }), () => {
      const large = (): never => { throw new StorageError('ENOSPC', 'destination', '', 'as the test wants it'); };
      return workOff({ ...run.attempt(), illness: rule(false) }, (task, control) => withPatched('fchmodSync', large, () => stageChunk(task, control)), run.control);
    });
    expect(report.counts.failed).toBe(60);
  });

  test('of a used quota gives up, although the disk has space', () => {
    const run = new Run(folder(), false);
    run.plan(sources(60));
    const refuse = (): never => { throw errnoError('EDQUOT', 122); };
    const calls = (): unknown => workOff({ ...run.attempt(), illness: rule(false) }, (task, control) => withPatched('writeSync', refuse, () => stageChunk(task, control)), run.control);
    expect(thrownBy(calls)).toMatchObject({ code: 'EDQUOT', message: expect.stringContaining('quota') as string });
  });
});

test('a journal is written with the inodes that were set aside, for itself and for its name', () => {
  for (const call of ['writeFileSync', 'linkSync'] as const) {
    const run = new Run(folder(), false, path(call));
    run.plan(sources(3));
    const isReserved = (): boolean => fs.existsSync(join(run.directory, 'reserve'));
    const restore = interceptFs(({ name, args }, proceed) => {
      if (name === call && /\/journal\//.test(String(args[call === 'linkSync' ? 1 : 0])) && isReserved()) throw errnoError('ENOSPC', 28);
      return proceed();
    });
    const report = workOff({ ...run.attempt(), illness: { codes, space, isLast: true, mostFailures: 20 } }, stageChunk, run.control);
    restore();
    expect(report.counts).toEqual({ backedUp: 3, unchanged: 0, failed: 0 });
    expect(run.seal()).toMatchObject({ backedUp: 3, failed: 0 });
  }
});

test('where a further name has no inode, a file gets its only one by a rename', () => {
  const run = new Run(folder(), false);
  run.plan(sources(3));
  const restore = interceptFs(({ name, args }, proceed) => {
    if (name === 'linkSync' && String(args[1]).endsWith('.backup')) throw errnoError('ENOSPC', 28);
    return proceed();
  });
  const report = workOff({ ...run.attempt(), illness: { codes, space, isLast: true, mostFailures: 20 } }, stageChunk, run.control);
  restore();
  expect(report.counts).toEqual({ backedUp: 3, unchanged: 0, failed: 0 });
  expect(fs.readFileSync(path('backups', 'file-000.backup'), 'utf8')).toBe(`content of ${path('file-000')}`);
});
