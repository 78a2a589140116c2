import * as fs from 'node:fs';
import { join } from 'node:path';
import { setEntryTimes } from '../../../src/storage/posix';
import { initRepository } from '../../../src/storage/snapshot/repository';
import type { SnapshotRecord } from '../../../src/storage/snapshot/snapshot-record';
import { check, flip } from '../../helpers/check';
import { memoryFolder, useFolder } from '../../helpers/files';
import { withPatched } from '../patched-fs';
import { SnapshotRun } from './snapshot-run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const { COPYFILE_FICLONE_FORCE } = fs.constants;
const folder = useFolder(memoryFolder);
const repository = (): string => join(folder(), 'repository');
const source = (name = ''): string => join(folder(), 'source', name);
const take = (): SnapshotRecord => new SnapshotRun(folder(), repository(), [source()]).take();
const copyOf = ({ name }: SnapshotRecord, file: string): string => join(repository(), name, 'data', source(file));

/** What a copy is, to the nanosecond. */
function stateOf(path: string): object {
  const { ino, mode, mtimeNs, ctimeNs } = fs.statSync(path, { bigint: true });
  return { ino, mode, mtimeNs, ctimeNs, content: fs.readFileSync(path, 'utf8') };
}

/** A file system that shares blocks between files, as btrfs and xfs do: here the copy stands for the clone. */
function withClones<T>(calls: () => T): { readonly result: T; readonly clones: number } {
  let clones = 0;
  const result = withPatched('copyFileSync', ([from, to, mode]) => {
    if (((mode as number) & COPYFILE_FICLONE_FORCE) === 0) throw new Error('nothing else is copied so');
    clones += 1;
    fs.copyFileSync(from as string, to as string, (mode as number) & ~COPYFILE_FICLONE_FORCE);
  }, calls);
  return { result, clones };
}

let first: SnapshotRecord;

beforeEach(() => {
  initRepository(repository());
  fs.mkdirSync(source());
  for (const name of ['a', 'b']) fs.writeFileSync(source(name), `content of ${name}`, { mode: 0o644 });
  const end = Date.now() + 120;
  while (Date.now() < end) fs.statSync(folder());
  first = take();
});

describe('a file of which mode or times alone have changed', () => {
  test.each([
    ['by chmod', () => fs.chmodSync(source('a'), 0o600)],
    ['by touch', () => setEntryTimes(source('a'), 1_234_567_890_123_456_789n)],
  ])('%s shares its blocks with the copy before, which stays as it is', async (_how, change) => {
    const before = stateOf(copyOf(first, 'a'));
    change();
    const { result, clones } = withClones(take);
    expect(clones).toBe(1);
    expect(result).toMatchObject({ status: 'complete', counts: { changedFiles: 1, unchangedFiles: 1, copiedBytes: 0, sizeBytes: 24 } });
    const { mode, mtimeNs } = fs.statSync(source('a'), { bigint: true });
    expect(stateOf(copyOf(result, 'a'))).toMatchObject({ mode, mtimeNs, content: 'content of a' });
    expect(stateOf(copyOf(first, 'a'))).toEqual(before);
    expect((await check(repository())).problems).toEqual([]);
  });

  test('that copies do not carry is linked: set-user-id, set-group-id and sticky bits are recorded only', async () => {
    fs.chmodSync(source('a'), 0o4644);
    const second = take();
    expect(second).toMatchObject({ counts: { unchangedFiles: 2, copiedBytes: 0 } });
    expect(fs.readFileSync(join(repository(), second.name, 'metadata.ndjson'), 'utf8')).toContain('"mode":"4644"');
    expect((await check(repository())).problems).toEqual([]);
  });

  test('is copied where the file system shares no blocks, which is asked once', () => {
    for (const name of ['a', 'b']) fs.chmodSync(source(name), 0o600);
    let asked = 0;
    const second = withPatched('copyFileSync', (_args, proceed) => ((asked += 1), proceed()), take);
    expect(asked).toBe(1);
    expect(second).toMatchObject({ status: 'complete', counts: { changedFiles: 2, copiedBytes: 24 } });
    expect(stateOf(copyOf(second, 'b'))).toMatchObject({ content: 'content of b' });
  });

  test('and content too, of the same size, is copied from the source', async () => {
    fs.writeFileSync(source('a'), 'CONTENT OF A');
    const { result, clones } = withClones(take);
    expect(clones).toBe(1);
    expect(result).toMatchObject({ counts: { changedFiles: 1, copiedBytes: 12 } });
    expect(stateOf(copyOf(result, 'a'))).toMatchObject({ content: 'CONTENT OF A' });
    expect(stateOf(copyOf(first, 'a'))).toMatchObject({ content: 'content of a' });
    expect((await check(repository())).problems).toEqual([]);
  });

  test('and whose copy before is damaged is copied from the source, and that copy named', () => {
    flip(copyOf(first, 'a'), 3);
    fs.chmodSync(source('a'), 0o600);
    const { result } = withClones(take);
    expect(result).toMatchObject({ counts: { copiedBytes: 12 }, damagedCopies: { count: 1, sample: [`${first.name}/data${source('a')}`] } });
    expect(stateOf(copyOf(result, 'a'))).toMatchObject({ content: 'content of a' });
  });
});
